// Pages of products that are shown to everybody, kept for a while. A page is dropped when this process
// changes a counter, and when the sweeper says that units came back (`notify` in queues.yaml). That is a
// hint, which may be lost, as may what another API did: no page is older than MAX_AGE_MS.

const MAX_AGE_MS = 5000;

export class Pages {
    #pages = new Map();

    // The page of this name; load() makes it where it is not kept.
    get(name, load) {
        const kept = this.#pages.get(name);
        if (kept && Date.now() - kept.madeMs < MAX_AGE_MS) {
            return kept.page;
        }
        const page = load();
        const fresh = { page, madeMs: Date.now() };
        this.#pages.set(name, fresh);
        // One that could not be made is nobody else's.
        page.catch(() => this.#pages.get(name) === fresh && this.#pages.delete(name));
        return page;
    }

    drop() {
        this.#pages.clear();
    }
}
