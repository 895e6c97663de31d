// Preloaded (`node --import`): the process has a clock that is ahead by the seconds in the file that CLOCK names.

import { readFileSync } from "node:fs";

const { Date: Real } = globalThis;
const now = () => Real.now() + 1000 * Number(readFileSync(process.env.CLOCK, "utf8"));

globalThis.Date = class extends Real {
  constructor(...given) {
    super(...(given.length ? given : [now()]));
  }

  static now() {
    return now();
  }
};
