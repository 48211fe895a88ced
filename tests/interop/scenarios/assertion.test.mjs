import assert from "node:assert/strict";
import test from "node:test";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

test("an assertion of `bff assertion` gets a token and pushes an authorization request", async (t) => {
  const provider = await startProvider(t);
  const deployment = await newDeployment(t, { issuer: provider.issuer });
  const bff = await deployment.start({ DCR_IAT: await provider.mintInitialAccessToken() });
  await bff.ready();
  const [{ client_id }] = provider.clients();

  const token = await post(`${provider.issuer}/token`, {
    ...(await authentication(deployment, client_id)),
    grant_type: "client_credentials",
    scope: "orders:read",
  });
  assert.equal(token.status, 200, token.text);
  assert.equal(JSON.parse(token.text).token_type, "Bearer");

  const pushed = await post(`${provider.issuer}/request`, {
    ...(await authentication(deployment, client_id)),
    response_type: "code",
    redirect_uri: "https://app.example/callback",
    scope: "openid",
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
  });
  assert.equal(pushed.status, 201, pushed.text);
});

/** The form parameters of RFC 7523 §2.2, with a fresh assertion of the command. */
async function authentication(deployment, client_id) {
  const command = await deployment.run(["assertion"]);
  assert.equal(command.exitCode, 0, command.output.toString());
  const client_assertion = command.output.stdout.trim();
  assert.match(client_assertion, /^[\w-]+\.[\w-]+\.[\w-]+$/);
  return { client_id, client_assertion, client_assertion_type: JWT_BEARER };
}

async function post(url, form) {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams(form) });
  return { status: response.status, text: await response.text() };
}
