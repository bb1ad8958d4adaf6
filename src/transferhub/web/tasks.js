// The rows of tasks. Each stays the same element from poll to poll, so that focus stays where it is.

import { count, moment, Pace, size, span } from "./figures.js";
import { causes, retry, start, stop } from "./hub.js";
import { words } from "./words.js";

const UNDER_WAY = ["QUEUED", "RUNNING"];
const RETRIED = ["COMPLETED_WITH_FAILURES", "FAILED", "CANCELLED"];

export const isUnderWay = (task) => UNDER_WAY.includes(task.latestRun?.state);

export function element(tag, { kind = "", text = "", ...more } = {}, ...children) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...(text ? [text] : []), ...children);
  return Object.assign(made, more);
}

/** A task's row, and the row below it that tells why objects failed. */
export class TaskRow {
  #task = null;
  #run = "";
  #pace = new Pace();
  #objects = new Pace();
  #open = false;

  /** `act` carries out what a button asks for, and tells what went wrong. */
  constructor(act) {
    this.#build(act);
    this.elements = [this.row, this.causes];
  }

  #build(act) {
    const button = (word, work) =>
      element("button", { type: "button", text: words[word], onclick: () => act(work) });
    this.name = element("strong");
    this.places = element("small");
    this.badge = element("span", { kind: "badge" });
    this.remark = element("small");
    this.bar = element("progress", { max: 1 });
    this.amount = element("small");
    this.failed = element("button", { type: "button", kind: "link", onclick: () => this.#toggle() });
    this.cells = Object.fromEntries(["rate", "left", "last", "next"].map((name) => [name, element("td", { kind: "narrow" })]));
    this.start = button("start", () => start(this.#task.id));
    this.stop = button("stop", () => stop(this.#task.latestRun.id));
    this.retry = button("retry", () => retry(this.#task.latestRun.id));
    this.row = element(
      "tr",
      {},
      element("td", { kind: "task" }, this.name, this.places),
      element("td", {}, this.badge, this.remark),
      element("td", { kind: "progress" }, this.bar, this.amount, this.failed),
      ...Object.values(this.cells),
      element("td", { kind: "actions" }, this.start, this.stop, this.retry),
    );
    this.list = element("ul", { ariaLabel: words.causes });
    this.causes = element("tr", { kind: "causes", hidden: true }, element("td", { colSpan: 8 }, this.list));
  }

  show(task, mayChange) {
    const run = task.latestRun;
    if (this.#run !== (run?.id ?? "")) this.#begin(run);
    this.#task = task;
    this.name.textContent = task.name;
    this.places.textContent = `${task.source} → ${task.destination}`;
    this.#showState(task, run);
    this.#showProgress(run, task.kind);
    this.cells.last.replaceChildren(run ? moment(run.endedAt ?? run.startedAt ?? run.createdAt) : words.never);
    this.cells.next.replaceChildren(task.nextRunAt ? moment(task.nextRunAt) : "–");
    const moves = isUnderWay(task);
    this.start.hidden = !mayChange || moves;
    this.stop.hidden = !mayChange || !moves;
    this.stop.disabled = run?.order !== "NONE";
    this.retry.hidden = !mayChange || !RETRIED.includes(run?.state);
    if (this.#open) this.#load();
  }

  #begin(run) {
    this.#run = run?.id ?? "";
    this.#pace = new Pace();
    this.#objects = new Pace();
    this.#close();
  }

  #showState(task, run) {
    const state = run?.state ?? "NEVER";
    this.badge.textContent = words[state];
    this.badge.className = `badge ${state}`;
    const remarks = [];
    if (task.state === "PAUSED") remarks.push(words.PAUSED);
    if (run && run.order !== "NONE" && isUnderWay(task)) remarks.push(words.stopping);
    if (run?.state === "RUNNING" && run.progress.listing) remarks.push(words.looking);
    if (run?.error) remarks.push(words.wrong(run.error, run.errorCode));
    this.remark.textContent = remarks.join(" · ");
  }

  #showProgress(run, kind) {
    const told = run?.progress;
    for (const part of [this.bar, this.amount]) part.hidden = !told || run.state === "QUEUED";
    const failed = told?.failed ?? 0;
    this.failed.hidden = failed === 0;
    if (failed === 0) this.#close();
    this.cells.rate.replaceChildren("–");
    this.cells.left.textContent = "–";
    if (!told) return;
    const ended = told.done + told.failed + told.vanished + told.skipped + told.deleted;
    const all = ended + told.waiting;
    this.bar.value = all ? ended / all : Number(run.state === "SUCCEEDED");
    this.bar.ariaLabel = words.progress;
    this.amount.textContent = amounts(told, ended, all, kind);
    this.failed.textContent = words.failures(count(failed));
    if (run.state === "RUNNING") this.#showPace(told, ended, kind);
  }

  #showPace(told, ended, kind) {
    const bytes = this.#pace.of(told.bytes);
    const objects = this.#objects.of(ended);
    if (bytes === null || objects === null) return;
    this.cells.rate.replaceChildren(
      words.perSecond(size(bytes)),
      element("small", { text: ofKind(words.rates, kind)(count(objects)) }),
    );
    if (told.listing) return;
    const waits = [
      [told.copyBytes - told.bytes, bytes],
      [told.waiting, objects],
    ].filter(([rest, speed]) => rest > 0 && speed > 0);
    if (waits.length) this.cells.left.textContent = span(Math.max(...waits.map(([rest, speed]) => rest / speed)));
  }

  #toggle() {
    this.#open = !this.#open;
    this.causes.hidden = !this.#open;
    this.failed.ariaExpanded = String(this.#open);
    if (this.#open) this.#load();
  }

  #close() {
    this.#open = false;
    this.causes.hidden = true;
    this.failed.ariaExpanded = "false";
    this.list.replaceChildren();
  }

  async #load() {
    const run = this.#run;
    let groups;
    try {
      groups = await causes(run);
    } catch {
      return; // the page's own poll tells that the hub is away
    }
    if (this.#open && run === this.#run) this.list.replaceChildren(...groups.map(cause));
  }
}

/** Of words by kind of task; a kind that this page does not know moves objects. */
const ofKind = (table, kind) => table[kind] ?? table.OBJECTS;

function amounts(told, ended, all, kind) {
  const objects = ofKind(words.amounts, kind)(count(ended), count(all));
  const parts = [told.listing ? words.atLeast(objects) : objects];
  if (told.copyBytes) parts.push(words.bytes(size(Math.min(told.bytes, told.copyBytes)), size(told.copyBytes)));
  if (told.same) parts.push(words.same(count(told.same)));
  return parts.join(" · ");
}

function cause(group) {
  return element(
    "li",
    {},
    element("strong", { text: `${count(group.count)} × ${group.code}` }),
    element("span", { text: words.advice[group.code] ?? words.adviceElse }),
    element("small", { text: `${words.exampleOf(group.exampleKey)} ${group.exampleMessage}` }),
  );
}
