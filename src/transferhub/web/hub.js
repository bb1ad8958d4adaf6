// What the page asks of the hub.

const PAGE = `query Page($search: String, $first: Int, $after: String) {
  me { name role }
  tasks(search: $search, first: $first, after: $after) {
    cursor total
    items {
      id name kind source destination state nextRunAt
      latestRun {
        id state order createdAt startedAt endedAt error errorCode
        progress { listing new changed same copyBytes bytes done failed vanished skipped deleted waiting }
      }
    }
  }
  workers { id kind host pid version seenAt draining runs objectsPerSecond bytesPerSecond }
}`;

const CAUSES = "query Causes($run: ID!) { failureGroups(run: $run) { code count exampleKey exampleMessage } }";
const START = "mutation Start($id: ID!) { startRun(task: $id) { id } }";
const STOP = "mutation Stop($id: ID!) { stopRun(id: $id) { id } }";
const RETRY = "mutation Retry($id: ID!) { retryRun(id: $id) { count } }";

/** The hub refused; `code` is one of docs/errors.md. */
export class Refusal extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The hub could not be reached, or gave no answer that it would give. */
export class Lost extends Error {}

const TOKEN = "token";

/** From now on the hub is asked with this token of a provider; "" forgets it. */
export function present(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

const presented = () => sessionStorage.getItem(TOKEN) ?? "";

function headers(body) {
  const given = body === undefined ? {} : { "content-type": "application/json" };
  return presented() ? { ...given, authorization: `Bearer ${presented()}` } : given;
}

async function ask(method, path, body) {
  let answer;
  let told;
  try {
    answer = await fetch(path, {
      method,
      headers: headers(body),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(20_000),
    });
    told = await answer.json();
  } catch (error) {
    throw new Lost(error.message);
  }
  const error = told.errors?.[0];
  if (error) throw new Refusal(error.message, error.extensions?.code ?? "", answer.status);
  return told;
}

const graph = async (query, variables) => (await ask("POST", "/graphql", { query, variables })).data;

export const config = () => ask("GET", "/config.json");
export const enter = (proof) => ask("POST", "/session", proof);
export async function leave() {
  if (presented()) present("");
  else await ask("DELETE", "/session");
}
export const page = (search, after, first) => graph(PAGE, { search, after, first });
export const causes = async (run) => (await graph(CAUSES, { run })).failureGroups;
export const start = (task) => graph(START, { id: task });
export const stop = (run) => graph(STOP, { id: run });
export const retry = (run) => graph(RETRY, { id: run });
