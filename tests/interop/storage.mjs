/**
 * An adapter for oidc-provider that keeps its documents where a test can look at them.
 *
 * `everIssued` keeps the value of each token that was ever stored, so that a test can look for them in a log.
 */
export class Storage {
  #models = new Map();
  everIssued = new Set();

  adapter = (model) => {
    const documents = this.of(model);
    return {
      upsert: async (id, document) => {
        documents.set(id, document);
        if (model.endsWith("Token") || model === "ClientCredentials") this.everIssued.add(id);
      },
      find: async (id) => documents.get(id),
      destroy: async (id) => void documents.delete(id),
      consume: async (id) => void Object.assign(documents.get(id), { consumed: Math.floor(Date.now() / 1000) }),
      revokeByGrantId: async (grantId) => {
        for (const [id, document] of documents) if (document.grantId === grantId) documents.delete(id);
      },
      findByUid: async (uid) => [...documents.values()].find((document) => document.uid === uid),
      findByUserCode: async (userCode) => [...documents.values()].find((document) => document.userCode === userCode),
    };
  };

  /** The stored documents of one model, by id. */
  of(model) {
    if (!this.#models.has(model)) this.#models.set(model, new Map());
    return this.#models.get(model);
  }
}
