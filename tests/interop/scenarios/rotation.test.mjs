import assert from "node:assert/strict";
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import test from "node:test";
import { newDeployment, temporaryDirectory } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ADMIN_TOKEN = "for-the-administrator-of-a-test";
/** Authentications that begin in each second. */
const RATE = 50;

test("a scheduled rotation under load fails no authentication", async (t) => {
  const provider = await startProvider(t);
  const keys = await temporaryDirectory();
  const deployment = await newDeployment(t, {
    issuer: provider.issuer,
    settings: {
      BFF_ADMIN_TOKEN: ADMIN_TOKEN,
      BFF_JWKS_MAX_AGE: "1s",
      BFF_KEYS_DIR: keys,
      BFF_ROTATION_PREPUBLISH: "61s",
    },
  });
  const bff = await deployment.start({ DCR_IAT: await provider.mintInitialAccessToken() });
  await bff.ready();
  const [{ client_id }] = provider.clients();
  const load = startLoad({ issuer: provider.issuer, client_id, keys });
  t.after(() => load.stop());

  const ordered = await fetch(`${deployment.url}/admin/rotate`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  assert.equal(ordered.status, 202, await ordered.clone().text());
  const { kid } = await ordered.json();
  await bff.says(/signs from now on/, { seconds: 75 });
  await pause(2_000);
  const answers = await load.stop();

  const failed = answers.filter(({ status }) => status !== 200);
  assert.deepEqual(failed, [], `${failed.length} of ${answers.length} failed`);
  const signers = [...new Set(answers.map((answer) => answer.kid))];
  assert.equal(signers.length, 2, `${signers}`);
  assert.equal(signers[1], kid);
  assert.ok(answers.length >= RATE * 50, `only ${answers.length} authentications`);
  assert.equal(await bff.stop(), 0);
});

/** Authenticates at a steady rate, each time with the key that `active.pem` leads to. */
function startLoad({ issuer, client_id, keys }) {
  const answers = [];
  const underWay = new Set();
  const timer = setInterval(() => {
    const one = authenticate({ issuer, client_id, keys })
      .catch((error) => ({ status: 0, error: `${error} ${error.cause ?? ""}` }))
      .then((answer) => answers.push(answer))
      .finally(() => underWay.delete(one));
    underWay.add(one);
  }, 1000 / RATE);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      return answers;
    },
  };
}

async function authenticate({ issuer, client_id, keys }) {
  const file = await readlink(join(keys, "active.pem"));
  const kid = basename(file, ".pem");
  const key = createPrivateKey(await readFile(join(keys, file)));
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: client_id, sub: client_id, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 };
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      scope: "orders:read",
      client_id,
      client_assertion_type: JWT_BEARER,
      client_assertion: es256({ alg: "ES256", kid, typ: "JWT" }, claims, key),
    }),
    signal: AbortSignal.timeout(10_000),
  });
  const { error, error_description } = await response.json();
  return { kid, status: response.status, error, error_description };
}

function es256(header, claims, key) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}
