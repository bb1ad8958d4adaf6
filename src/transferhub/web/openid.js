// Signing in at a provider of OpenID Connect: code flow with PKCE (RFC 7636). It knows nothing of the page.

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** The provider did not answer this page. */
export class Silent extends Error {}

async function fetched(url, body) {
  const { host } = new URL(url);
  const answer = await fetch(url, body ? { method: "POST", body } : {}).catch(() => {
    throw new Silent(host);
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`${host}: ${told.error_description ?? told.error ?? answer.status}`);
  return told;
}

const described = (auth) => fetched(`${auth.authority.replace(/\/$/, "")}/.well-known/openid-configuration`);

/** Where to send the browser, and what to keep until it is back at `redirect`. */
export async function begin(auth, redirect) {
  const kept = { verifier: random(), state: random(), nonce: random() };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(kept.verifier));
  const url = new URL((await described(auth)).authorization_endpoint);
  const asked = {
    client_id: auth.clientId,
    response_type: "code",
    scope: auth.scope,
    redirect_uri: redirect,
    state: kept.state,
    nonce: kept.nonce,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  return { url: url.href, kept };
}

/** The token for the hub; `found` is what the provider sent the browser back with. */
export async function finish(auth, redirect, kept, found) {
  if (found.get("state") !== kept.state) throw new Error("This answer belongs to another sign-in: try again.");
  if (found.has("error")) throw new Error(found.get("error_description") ?? found.get("error"));
  const told = await fetched(
    (await described(auth)).token_endpoint,
    new URLSearchParams({
      grant_type: "authorization_code",
      client_id: auth.clientId,
      code: found.get("code"),
      redirect_uri: redirect,
      code_verifier: kept.verifier,
    }),
  );
  const claims = JSON.parse(atob(told.id_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  if (claims.nonce !== kept.nonce) throw new Error("This token belongs to another sign-in: try again.");
  return told[auth.token];
}
