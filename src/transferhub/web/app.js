// The plain page of a hub: who is let in sees the tasks and the workers, and starts and stops runs.

import { count, moment, size, timeOfDay } from "./figures.js";
import { config, enter, leave, Lost, page, present, Refusal } from "./hub.js";
import { begin, finish, Silent } from "./openid.js";
import { element, isUnderWay, TaskRow } from "./tasks.js";
import { language, words } from "./words.js";

const BUSY_MS = 2_000;
const IDLE_MS = 10_000;
const TASKS_A_PAGE = 50;
const TYPING_MS = 300;
const SILENT_MS = 10_000; // a worker gives a sign of life every two seconds

const at = (id) => document.getElementById(id);

const rows = new Map();
const cursors = [""]; // of the pages up to the one that is shown
let search = "";
let next = ""; // cursor of the next page
let timer = 0;
let asking = false;
let again = false;
let busy = false;
let inside = false;
let seenAt = null;

// Talking

function translate() {
  document.documentElement.lang = language;
  for (const part of document.querySelectorAll("[data-word]")) part.textContent = words[part.dataset.word];
  at("search").placeholder = words.search;
  at("search").ariaLabel = words.search;
}

function tell(error) {
  let text = error.message;
  if (error instanceof Refusal) text = words.wrong(error.message, error.code);
  if (error instanceof Silent) text = words.silentProvider(error.message);
  const close = element("button", { type: "button", text: words.close, onclick: () => tellNothing() });
  at("wrong").replaceChildren(text, close);
  at("wrong").hidden = false;
}

function tellNothing() {
  at("wrong").hidden = true;
  at("wrong").replaceChildren();
}

function tellLost() {
  at("lost").textContent = words.lost(timeOfDay(seenAt ?? new Date()));
  at("lost").hidden = false;
}

// Coming and going

const here = () => `${location.origin}/`;
const KEPT = "openid"; // what is kept until the provider sends the browser back

async function comeBack() {
  const found = new URLSearchParams(location.search);
  const kept = JSON.parse(sessionStorage.getItem(KEPT));
  if (!kept || !found.has("state")) return;
  sessionStorage.removeItem(KEPT);
  history.replaceState(null, "", location.pathname);
  try {
    present(await finish((await config()).auth, here(), kept, found));
  } catch (error) {
    tell(error);
  }
}

at("provider").addEventListener("click", async () => {
  try {
    const { url, kept } = await begin((await config()).auth, here());
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
    location.assign(url);
  } catch (error) {
    tell(error);
  }
});

async function knock() {
  const link = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!link) return;
  // Before anything else: it is a secret, and it works once.
  history.replaceState(null, "", location.pathname);
  try {
    await enter({ link });
  } catch (error) {
    tell(error);
  }
}

async function showDoor() {
  inside = false;
  clearTimeout(timer);
  at("inside").hidden = true;
  at("who").hidden = true;
  at("door").hidden = false;
  try {
    const { auth } = await config();
    at("provider").hidden = auth.mode !== "oidc";
    return auth;
  } catch {
    return null; // the form is right for most hubs
  }
}

at("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  try {
    await enter({ name: given.get("name"), password: given.get("password") });
    tellNothing();
    event.target.reset();
    refresh();
  } catch (error) {
    tell(error);
  }
});

at("leave").addEventListener("click", async () => {
  try {
    await leave();
  } catch (error) {
    tell(error);
    return;
  }
  rows.clear();
  at("tasks").replaceChildren();
  const { logoutUrl } = (await showDoor()) ?? {};
  if (logoutUrl) location.assign(logoutUrl);
});

// Looking

/** Asks at once; a request under way is followed by another one. */
async function refresh() {
  clearTimeout(timer);
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  const asked = { search, after: cursors.at(-1) };
  try {
    const found = await page(asked.search, asked.after, TASKS_A_PAGE);
    if (asked.search === search && asked.after === cursors.at(-1)) show(found);
    else again = true;
  } catch (error) {
    await fail(error);
  } finally {
    asking = false;
  }
  if (again) {
    again = false;
    refresh();
  } else if (!document.hidden && !at("door").checkVisibility()) {
    timer = setTimeout(refresh, at("lost").hidden && !busy ? IDLE_MS : BUSY_MS);
  }
}

async function fail(error) {
  if (error instanceof Lost) tellLost();
  else if (error.status === 401) {
    present("");
    await showDoor();
  } else tell(error);
}

function show(found) {
  inside = true;
  seenAt = new Date();
  at("lost").hidden = true;
  at("door").hidden = true;
  at("inside").hidden = false;
  at("who").hidden = false;
  at("name").textContent = found.me.name;
  showTasks(found.tasks, found.me.role !== "VIEWER");
  showWorkers(found.workers);
  showStrip(found);
}

function showTasks({ items, cursor }, mayChange) {
  next = cursor ?? "";
  for (const id of [...rows.keys()].filter((id) => !items.some((task) => task.id === id))) {
    for (const part of rows.get(id).elements) part.remove();
    rows.delete(id);
  }
  let before = null;
  for (const task of items) {
    if (!rows.has(task.id)) rows.set(task.id, new TaskRow(act));
    const row = rows.get(task.id);
    row.show(task, mayChange);
    // Only what is not in its place is moved: moving takes the focus away.
    const place = before ? before.nextSibling : at("tasks").firstChild;
    if (row.row !== place) at("tasks").insertBefore(row.row, place);
    if (row.causes !== row.row.nextSibling) row.row.after(row.causes);
    before = row.causes;
  }
  at("none").hidden = items.length > 0;
  at("none").textContent = search ? words.noneFound : words.none;
  at("pages").hidden = !next && cursors.length === 1;
  at("more").disabled = !next;
  at("back").disabled = cursors.length === 1;
}

function showWorkers(workers) {
  at("workers").replaceChildren(
    ...workers.map((worker) =>
      element(
        "tr",
        {},
        element("td", {}, element("strong", { text: worker.host }), element("small", { text: worker.id })),
        element("td", { text: [words[worker.kind], ...remarks(worker)].join(" · ") }),
        element("td", { text: worker.runs.join(", ") || "–" }),
        element(
          "td",
          { kind: "narrow", text: words.perSecond(size(worker.bytesPerSecond)) },
          element("small", { text: words.thingsPerSecond(count(worker.objectsPerSecond)) }),
        ),
        element("td", {}, moment(worker.seenAt)),
      ),
    ),
  );
}

function remarks(worker) {
  const silent = Date.now() - new Date(worker.seenAt) > SILENT_MS;
  return [...(worker.draining ? [words.draining] : []), ...(silent ? [words.silent] : [])];
}

function showStrip({ tasks, workers }) {
  const running = tasks.items.filter(isUnderWay).length;
  busy = running > 0;
  const bytes = workers.reduce((sum, worker) => sum + worker.bytesPerSecond, 0);
  const objects = workers.reduce((sum, worker) => sum + worker.objectsPerSecond, 0);
  at("running").textContent = count(running);
  at("now").textContent = `${words.perSecond(size(bytes))} · ${words.thingsPerSecond(count(objects))}`;
  at("failed").textContent = count(tasks.items.reduce((sum, task) => sum + (task.latestRun?.progress.failed ?? 0), 0));
  at("total").textContent = count(tasks.total ?? tasks.items.length);
  document.title = running ? `${words.title(count(running))} · Data Transfer Hub` : "Data Transfer Hub";
}

// Changing

async function act(work) {
  tellNothing();
  try {
    await work();
  } catch (error) {
    if (error instanceof Lost) tellLost();
    else tell(error);
  }
  refresh();
}

function turn() {
  scrollTo(0, 0);
  refresh();
}

at("more").addEventListener("click", () => {
  cursors.push(next);
  turn();
});

at("back").addEventListener("click", () => {
  cursors.pop();
  turn();
});

let typing = 0;
at("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    search = at("search").value.trim();
    cursors.length = 1;
    refresh();
  }, TYPING_MS);
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (inside) refresh();
});
window.addEventListener("hashchange", async () => {
  await knock();
  refresh();
});
window.addEventListener("focus", () => inside && refresh());
window.addEventListener("online", () => inside && refresh());

translate();
await comeBack();
await knock();
await refresh();
