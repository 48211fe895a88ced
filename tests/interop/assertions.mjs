import assert from "node:assert/strict";

const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** Asserts that nothing a process wrote contains a token of the provider, one of `secrets`, or a private key. */
export function assertNoSecrets(output, provider, secrets = []) {
  const text = output.toString();
  for (const secret of [...provider.issuedTokens(), ...secrets]) {
    assert.ok(!text.includes(secret), "the output contains a token");
  }
  assert.doesNotMatch(text, /PRIVATE KEY/);
}

/** Asserts that the answer is a JWK Set of named public keys (RFC 7517 §5), and gives the keys. */
export async function assertPublicKeys(response) {
  assert.equal(response.status, 200);
  const { keys } = await response.json();
  assert.ok(keys.length > 0, "the JWK Set is empty");
  for (const key of keys) {
    assert.deepEqual(Object.keys(key).filter((member) => PRIVATE_MEMBERS.includes(member)), []);
    for (const member of ["kty", "kid", "alg", "use"]) assert.equal(typeof key[member], "string", `${member} is missing`);
  }
  return keys;
}

/**
 * Asserts that the first request at the token endpoint was authenticated, and that no more were refused than the two
 * controls of each proof: a wrong signature and an unknown key.
 */
export function assertProved(provider) {
  const statuses = provider.tokenRequests().map(({ status }) => status);
  assert.ok(statuses.length > 0, "nothing was proved at the token endpoint");
  const refused = statuses.filter((status) => status === 401).length;
  const fits = statuses[0] !== 401 && refused <= 2 * (statuses.length - refused);
  assert.ok(fits, `the token endpoint answered ${statuses}`);
}
