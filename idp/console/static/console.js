// What pages do better with a script. Each of them works without.
"use strict";

// What is said here comes with the page, in its language.
const said = JSON.parse(document.body.dataset.said);

// Times are shown in the zone of this browser, once the server knows it.
if (document.body.dataset.zoneCookie) {
  const secure = window.location.protocol === "https:" ? "; secure" : "";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  document.cookie = `${document.body.dataset.zoneCookie}=${zone}; path=${document.body.dataset.path}; max-age=31536000; samesite=lax${secure}`;
}

// Copy buttons stand beside what is to be copied; without a script they are hidden.
for (const button of document.querySelectorAll("button.copy")) {
  const source = button.parentElement.querySelector(".copy-source");
  const label = button.querySelector(".copy-label");
  const told = button.parentElement.querySelector("[role=status]");
  const usual = label.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      label.textContent = told.textContent = said.copied;
    } catch {
      // no clipboard over plain HTTP: select the text, so that it can be copied by hand
      window.getSelection().selectAllChildren(source);
      label.textContent = said.selected;
      told.textContent = said.by_keyboard;
    }
    window.setTimeout(() => { label.textContent = usual; }, 2000);
  });
}

// What is to be copied can be kept as a file, too.
for (const button of document.querySelectorAll("button.download")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([button.parentElement.querySelector(".copy-source").textContent], { type: "text/plain" }));
    link.download = button.dataset.file;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// A new application is waited for, until it fetches its first token; or for ten minutes.
const first = document.getElementById("first-token");
if (first) {
  first.hidden = false;
  let left = 300;
  const wait = window.setInterval(async () => {
    if (--left < 0) { window.clearInterval(wait); return; }
    try {
      const answer = await fetch(first.dataset.url, { headers: { "X-Realmgate-Poll": "1" } });
      const text = answer.ok && !answer.redirected ? await answer.text() : "";
      if (text.trim()) { window.clearInterval(wait); first.innerHTML = text; first.className = "alert alert-success"; }
    } catch { /* the next time, perhaps */ }
  }, 2000);
}

// A menu closes when one looks elsewhere.
for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("focusout", (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  });
}

// What went wrong is read out first.
const problem = document.getElementById("problem");
if (problem) problem.focus();

// What was done is said once, not again when the page is reloaded.
const address = new URL(window.location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  window.history.replaceState(null, "", address);
}

// A page that the browser kept from before a sign-out is asked for again.
window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });

// On a small screen each row of a table stands by itself, with what its columns are called.
for (const table of document.querySelectorAll("main .table")) {
  const names = [...table.querySelectorAll("thead th")].map((name) => name.dataset.label ?? name.textContent.trim());
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, place) => { cell.dataset.label = names[place]; });
  }
  table.classList.add("with-labels");
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    if (event.submitter && "again" in event.submitter.dataset) return; // it answers with a file, and the page stays
    form.dataset.sent = "yes";
    window.setTimeout(() => { delete form.dataset.sent; }, 5000); // it may have been stopped on its way
  });
}

// A list is narrowed as soon as something else is chosen, and all of its rows are picked at once.
for (const chosen of document.querySelectorAll(".toolbar > select")) {
  chosen.addEventListener("change", () => chosen.form.requestSubmit());
}
for (const every of document.querySelectorAll("input[data-pick-all]")) {
  const boxes = [...document.querySelectorAll(`input[name=picked][form=${every.dataset.pickAll}]`)];
  const acts = document.getElementById(every.dataset.pickAll);
  const told = document.getElementById(`${every.dataset.pickAll}-count`);
  const tell = () => {
    const count = boxes.filter((box) => box.checked).length;
    every.checked = count > 0 && count === boxes.length;
    every.indeterminate = count > 0 && count < boxes.length;
    told.textContent = count ? said.picked.replace("#", count) : "";
    // what can be done with several stands below the list until they are chosen, and then where it can be seen
    acts.hidden = !count;
    acts.closest(".list-foot").classList.toggle("picking", count > 0);
  };
  every.hidden = false;
  every.addEventListener("change", () => { for (const box of boxes) box.checked = every.checked; tell(); });
  for (const box of boxes) box.addEventListener("change", tell);
  tell();
}

// What a cell has no room for is told to the pointer.
for (const list of document.querySelectorAll(".one-line")) {
  list.addEventListener("mouseover", (event) => {
    const cell = event.target.closest("td, th");
    if (cell && !cell.title && cell.scrollWidth > cell.clientWidth && !cell.querySelector("[title]")) cell.title = cell.innerText.trim();
  });
}

// Of tabs that have no room beside each other, the current one is shown, and that there are more.
for (const tabs of document.querySelectorAll(".tabs")) {
  const tell = () => tabs.classList.toggle("more", tabs.scrollLeft + tabs.clientWidth < tabs.scrollWidth - 1);
  if (tabs.scrollWidth > tabs.clientWidth) tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  tabs.addEventListener("scroll", tell, { passive: true });
  window.addEventListener("resize", tell);
  tell();
}

// The palette: Ctrl-K, or "/" where nothing is being typed. Without a script its button leads to a page that does the same.
const finder = document.getElementById("finder");
if (finder && window.HTMLDialogElement) {
  const palette = document.createElement("dialog");
  const field = document.createElement("input");
  const found = document.createElement("div");
  palette.className = "palette";
  palette.setAttribute("aria-label", said.search);
  Object.assign(field, { className: "palette-field", type: "text", placeholder: said.find, maxLength: 100, autocomplete: "off", spellcheck: false });
  field.setAttribute("aria-label", said.find_label);
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-expanded", "true");
  field.setAttribute("aria-controls", "palette-found");
  found.className = "found";
  found.id = "palette-found";
  found.setAttribute("role", "listbox");
  found.setAttribute("aria-label", said.results);
  palette.append(field, found);
  document.body.append(palette);
  let asked = 0;
  let place = 0;
  const links = () => [...found.querySelectorAll("a")];
  const point = () => {
    links().forEach((link, number) => {
      link.setAttribute("aria-selected", String(number === place));
      if (number === place) { field.setAttribute("aria-activedescendant", link.id); link.scrollIntoView({ block: "nearest" }); }
    });
  };
  const search = async () => {
    const mine = ++asked;
    try {
      const answer = await fetch(`${finder.dataset.palette}?part=1&q=${encodeURIComponent(field.value)}`, { headers: { Accept: "text/html" } });
      if (mine !== asked) return;
      if (!answer.ok || answer.redirected) { window.location.href = finder.href; return; }
      found.innerHTML = await answer.text();
      found.querySelectorAll("ul, li").forEach((item) => item.setAttribute("role", "presentation"));
      links().forEach((link, number) => { link.id = `found-link-${number}`; link.setAttribute("role", "option"); link.tabIndex = -1; });
      place = 0;
      point();
    } catch {
      found.textContent = said.unreachable;
    }
  };
  const show = () => { if (!palette.open) { palette.showModal(); field.select(); search(); } };
  let waiting = 0;
  field.addEventListener("input", () => { window.clearTimeout(waiting); waiting = window.setTimeout(search, 120); });
  field.addEventListener("keydown", (event) => {
    const count = links().length;
    if (event.key === "ArrowDown" && count) place = (place + 1) % count;
    else if (event.key === "ArrowUp" && count) place = (place + count - 1) % count;
    else if (event.key === "Enter" && count) { event.preventDefault(); links()[place].click(); return; }
    else return;
    event.preventDefault();
    point();
  });
  palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
  finder.addEventListener("click", (event) => { event.preventDefault(); show(); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if ((event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey)) {
      event.preventDefault();
      show();
    }
  });
}

// The trail is followed: what comes is put in front of what is there, for as long as one looks.
const tail = document.getElementById("tail");
if (tail && document.getElementById("events")) {
  tail.hidden = false;
  let following = 0;
  const look = async () => {
    try {
      const answer = await fetch(tail.dataset.tail, { headers: { "X-Realmgate-Poll": "1" } });
      if (answer.ok && !answer.redirected && !document.querySelector("#events details[open]")) {
        document.getElementById("events").innerHTML = await answer.text();
      }
    } catch { /* the next time, perhaps */ }
  };
  tail.addEventListener("click", (event) => {
    event.preventDefault();
    const starts = !following;
    window.clearInterval(following);
    following = starts ? window.setInterval(look, 2000) : 0;
    tail.classList.toggle("btn-primary", starts);
    tail.setAttribute("aria-pressed", String(starts));
    if (starts) look();
  });
}

// Before a session ends, its user is asked whether they are still there.
const note = document.getElementById("session-note");
if (note) {
  let warning = 0;
  const plan = (seconds) => { window.clearTimeout(warning); warning = window.setTimeout(() => { note.hidden = false; }, Math.max(seconds - 120, 5) * 1000); };
  plan(Number(document.body.dataset.sessionLeft));
  note.querySelector("button").addEventListener("click", async () => {
    const answer = await fetch(note.dataset.url).catch(() => null);
    if (answer && answer.ok && !answer.redirected) { note.hidden = true; plan(900); }
    else note.querySelector("span").textContent = said.over;
  });
}

// What roles permit is told as soon as they are chosen; not while a button is pressed, which would move away from under the pointer.
let pressing = false;
for (const [name, is] of [["mousedown", true], ["mouseup", false]]) window.addEventListener(name, () => { pressing = is; }, true);
for (const box of document.querySelectorAll("[data-roles-of]")) {
  const field = document.getElementById(box.dataset.rolesOf);
  const tell = () => {
    const chosen = field.value.split("\n");
    for (const each of box.children) each.hidden = !chosen.includes(each.dataset.role);
  };
  field.addEventListener("change", () => {
    if (pressing && field.hidden) window.addEventListener("mouseup", () => window.setTimeout(tell), { once: true });
    else tell();
  });
  tell();
}

// What is for some of what can be chosen opens once such a thing is chosen.
for (const group of document.querySelectorAll("[data-open-with]")) {
  const chosen = document.getElementById(group.dataset.openWith);
  chosen.addEventListener("change", () => {
    group.open = group.dataset.openAt ? chosen.value === group.dataset.openAt : chosen.value !== "";
  });
}

// The bars of a chart say what they stand for: to the pointer, and to the arrow keys.
for (const figure of document.querySelectorAll("figure.chart")) {
  const bars = [...figure.querySelectorAll("svg .bar")].filter((bar) => bar.querySelector(":scope > title"));
  const readout = figure.querySelector(".readout");
  const drawing = figure.querySelector("svg");
  let place = -1;
  const show = (to) => {
    bars[place]?.classList.remove("shown");
    place = to;
    bars[place]?.classList.add("shown");
    readout.textContent = bars[place]?.querySelector("title").textContent ?? "";
  };
  if (!bars.length) continue;
  drawing.setAttribute("tabindex", "0");
  bars.forEach((bar, number) => bar.addEventListener("pointerenter", () => show(number)));
  drawing.addEventListener("pointerleave", () => show(-1));
  drawing.addEventListener("blur", () => show(-1));
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(Math.min(bars.length - 1, Math.max(0, place + step)));
  });
}

// Names are suggested while they are typed: one, or several that then stand by themselves. What is sent is what the field holds.
let suggesting = 0;
for (const field of document.querySelectorAll("[data-suggest]")) {
  if (!finder) break;
  const make = (tag, values, attributes) => {
    const made = Object.assign(document.createElement(tag), values);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const id = `suggestions-${suggesting++}`;
  const box = make("ul", { id, className: "suggestions", hidden: true }, { role: "listbox", "aria-label": said.suggestions });
  const told = make("span", { className: "visually-hidden" }, { role: "status" });
  const many = "many" in field.dataset;
  let typed = field;
  let chips = null;
  let names = [];
  const label = document.querySelector(`label[for="${field.id}"]`);
  const write = () => { field.value = names.join(field.tagName === "TEXTAREA" ? "\n" : " "); field.dispatchEvent(new Event("change")); };
  const draw = () => {
    chips.replaceChildren(...names.map((name) => {
      const item = make("li", { className: "chip", textContent: name }, {});
      const button = make("button", { type: "button", textContent: "×" }, { "aria-label": said.remove.replace("#", name) });
      button.addEventListener("click", () => { remove(name); typed.focus(); });
      item.append(button);
      return item;
    }));
    chips.hidden = !names.length;
  };
  const remove = (name) => { names = names.filter((each) => each !== name); write(); draw(); told.textContent = said.removed.replace("#", name); };
  const split = (text) => text.split(field.tagName === "TEXTAREA" ? /[\n,]+/ : /[\s,]+/).map((name) => name.trim()).filter(Boolean);
  const add = (text) => {
    const fresh = split(text).filter((name) => !names.includes(name));
    typed.value = "";
    if (!fresh.length) return;
    names = [...new Set([...names, ...fresh])];
    write();
    draw();
    told.textContent = said.added.replace("#", fresh.join(", "));
  };
  if (many) {
    names = [...new Set(split(field.value))];
    const whole = make("div", { className: "chips form-control" }, {});
    chips = make("ul", {}, { "aria-label": label.firstChild.textContent.trim() });
    typed = make("input", { type: "text", id: `${field.id}-typed` }, {});
    for (const name of ["aria-describedby", "aria-invalid"]) if (field.hasAttribute(name)) typed.setAttribute(name, field.getAttribute(name));
    whole.classList.toggle("is-invalid", field.classList.contains("is-invalid"));
    label.htmlFor = typed.id;
    field.after(whole);
    whole.append(chips, typed);
    field.hidden = true;
    typed.addEventListener("paste", (event) => {
      const text = event.clipboardData.getData("text");
      if (split(text).length > 1) { event.preventDefault(); add(text); } // a field for one line would join several
    });
    whole.addEventListener("click", (event) => { if (event.target === whole) typed.focus(); });
    draw();
  }
  typed.autocomplete = "off";
  typed.spellcheck = false;
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": id })) typed.setAttribute(name, value);
  const host = field.closest("main") || document.body;
  host.append(box, told);
  let place = -1;
  let asked = 0;
  let pause = 0;
  const close = () => {
    asked++;
    window.clearTimeout(pause);
    box.hidden = true;
    place = -1;
    typed.setAttribute("aria-expanded", "false");
    typed.removeAttribute("aria-activedescendant");
  };
  const point = (to) => {
    place = to;
    [...box.children].forEach((option, number) => {
      option.setAttribute("aria-selected", String(number === place));
      if (number === place) { typed.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); }
    });
  };
  const choose = (value) => { if (many) add(value); else typed.value = value; close(); };
  const ask = async () => {
    const mine = ++asked;
    const url = `${finder.dataset.palette.replace(/find$/, "suggest")}?kind=${field.dataset.suggest}&q=${encodeURIComponent(typed.value)}`;
    const answer = await fetch(url).catch(() => null);
    if (mine !== asked || !answer || !answer.ok || answer.redirected || document.activeElement !== typed) return;
    const found = (await answer.json()).filter((name) => many ? !names.includes(name) : name !== typed.value);
    if (mine !== asked) return;
    box.replaceChildren(...found.map((name, number) => {
      const option = make("li", { id: `${id}-${number}`, textContent: name }, { role: "option", "aria-selected": "false" });
      option.addEventListener("mousedown", (event) => { event.preventDefault(); choose(name); });
      return option;
    }));
    const edge = typed.getBoundingClientRect();
    const all = host.getBoundingClientRect();
    Object.assign(box.style, { left: `${edge.left - all.left}px`, top: `${edge.bottom - all.top + 2}px`, minWidth: `${edge.width}px` });
    place = -1;
    typed.removeAttribute("aria-activedescendant");
    box.hidden = !found.length;
    typed.setAttribute("aria-expanded", String(!box.hidden));
    told.textContent = said.suggested.replace("#", found.length);
  };
  const soon = () => { window.clearTimeout(pause); pause = window.setTimeout(ask, 150); };
  typed.addEventListener("input", soon);
  typed.addEventListener("click", () => { if (box.hidden) soon(); });
  typed.addEventListener("blur", () => { if (many) add(typed.value); close(); });
  typed.addEventListener("keydown", (event) => {
    const count = box.hidden ? 0 : box.children.length;
    const { key } = event;
    if (key === "ArrowDown" && !count) ask();
    else if (key === "ArrowDown") point((place + 1) % count);
    else if (key === "ArrowUp" && count) point((place + count - (place < 0 ? 0 : 1)) % count);
    else if (key === "Enter" && count && place >= 0) choose(box.children[place].textContent);
    else if (many && (key === "Enter" || key === ",") && typed.value.trim()) { add(typed.value); close(); }
    else if (key === "Escape" && count) close();
    else if (many && key === "Backspace" && !typed.value && names.length) { remove(names[names.length - 1]); return; }
    else return;
    event.preventDefault();
  });
}
