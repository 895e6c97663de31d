// Drives @ionos-cloud/sdk-nodejs against a running server, and prints what it found as JSON.
//
//   node ionos.mjs <base URL of the Cloud API> <user name> <password>

import ionoscloud from "@ionos-cloud/sdk-nodejs";

const [basePath, username, password] = process.argv.slice(2);
const config = new ionoscloud.Configuration({ username, password, basePath });
const people = new ionoscloud.UserManagementApi(config);
const found = {};

const properties = { firstname: "New", lastname: "Person", email: "node-person@example.test", administrator: false };
const user = (await people.umUsersPost({ user: { properties } })).data;
const group = (await people.umGroupsPost({ group: { properties: { name: "Node Example", accessAndManageDns: true } } })).data;
await people.umGroupsUsersPost({ groupId: group.id, user: { id: user.id } });
found.members = (await people.umGroupsUsersGet({ groupId: group.id, filters: { email: "NODE-person" } })).data.items.map(
  (each) => each.id === user.id,
);
found.groups = (await people.umGroupsGet({ filters: { name: "node ex" }, orderBy: "name", maxResults: 5, depth: 1 })).data.items.map(
  (each) => each.properties.name,
);
found.others = (await people.umUsersGet({ filters: { email: "nobody" } })).data.items;
found.groups_of_user = (await people.umUsersGroupsGet({ userId: user.id })).data.items.length;
found.owns = (await people.umUsersOwnsGet({ userId: user.id })).data.items;
found.shares = (await people.umGroupsSharesGet({ groupId: group.id })).data.items;
found.unknown = await people.umUsersGet({ filters: { nothing: "x" } }).then(
  () => 200,
  (error) => error.response.status,
);
await people.umGroupsUsersDelete({ groupId: group.id, userId: user.id });
await people.umGroupsDelete({ groupId: group.id });
await people.umUsersDelete({ userId: user.id });
found.gone = await people.umUsersFindById({ userId: user.id }).then(
  () => 200,
  (error) => error.response.status,
);

console.log(JSON.stringify(found));
