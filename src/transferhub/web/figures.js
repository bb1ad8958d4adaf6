// Numbers and times as people read them, in the page's language.

import { language, words } from "./words.js";

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
const ago = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "long" });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

const SIZES = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const SPANS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

export const count = (number) => whole.format(number);

export function size(bytes) {
  let power = 0;
  let rest = bytes;
  while (rest >= 999.5 && power < SIZES.length - 1) {
    rest /= 1000;
    power += 1;
  }
  return `${short.format(rest)}\u00a0${SIZES[power]}`;
}

/** How long: its two greatest units. */
export function span(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, length] of SPANS) {
    const number = Math.floor(rest / length);
    if (number > 0 && parts.length < 2) {
      parts.push(new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(number));
      rest -= number * length;
    } else if (parts.length > 0) break;
  }
  return parts.join(" ") || new Intl.NumberFormat(language, { style: "unit", unit: "second", unitDisplay: "narrow" }).format(0);
}

/** A <time> that says how long ago or hence, and exactly when where it is pointed at. */
export function moment(iso) {
  if (!iso) return words.never;
  const at = new Date(iso);
  const seconds = (at - Date.now()) / 1000;
  const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  const time = document.createElement("time");
  time.dateTime = iso;
  time.title = exact.format(at);
  time.textContent = ago.format(Math.round(seconds / length), unit);
  return time;
}

export const timeOfDay = (date) => clock.format(date);

/** How fast a figure grows: remembers what it was during the last seconds. */
export class Pace {
  #seen = [];

  constructor(seconds = 12) {
    this.seconds = seconds;
  }

  /** Per second; null as long as it cannot be told. */
  of(value, now = performance.now() / 1000) {
    const last = this.#seen.at(-1);
    if (last && value < last.value) this.#seen = [];
    this.#seen.push({ value, now });
    while (this.#seen.length > 2 && now - this.#seen[1].now >= this.seconds) this.#seen.shift();
    const first = this.#seen[0];
    return now - first.now < 1 ? null : (value - first.value) / (now - first.now);
  }
}
