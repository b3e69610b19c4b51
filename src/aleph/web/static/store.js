// What the browser keeps on its own disk (IndexedDB): sessions, and the pictures they refer to.

const NAME = "aleph";
let opened = null;

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("sessions", { keyPath: "id" });
      request.result.createObjectStore("blobs");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Keys of the pictures that belong to a session. */
const belonging = (id) => IDBKeyRange.bound(`${id}/`, `${id}/\uffff`);

/**
 * Keep a session and its pictures, all or nothing.
 *
 * `blobs` is a Map of new pictures by key; those of the session that `keys` does not name are
 * dropped.
 */
export async function put(session, blobs, keys) {
  const work = (await database()).transaction(["sessions", "blobs"], "readwrite");
  const [sessions, pictures] = ["sessions", "blobs"].map((name) => work.objectStore(name));
  for (const [key, blob] of blobs) pictures.put(blob, key);
  sessions.put(session);
  for (const key of await done(pictures.getAllKeys(belonging(session.id)))) {
    if (!keys.has(key)) pictures.delete(key);
  }
  await new Promise((resolve, reject) => {
    work.oncomplete = resolve;
    work.onerror = work.onabort = () => reject(work.error);
  });
}

/** All sessions, the latest first. */
export async function list() {
  const work = (await database()).transaction("sessions");
  const all = await done(work.objectStore("sessions").getAll());
  return all.sort((a, b) => b.when - a.when);
}

/** A session and its pictures by key, or null. */
export async function get(id) {
  const work = (await database()).transaction(["sessions", "blobs"]);
  const pictures = work.objectStore("blobs");
  const [session, keys, blobs] = await Promise.all([
    done(work.objectStore("sessions").get(id)),
    done(pictures.getAllKeys(belonging(id))),
    done(pictures.getAll(belonging(id))),
  ]);
  return session ? { session, blobs: new Map(keys.map((key, i) => [key, blobs[i]])) } : null;
}

export async function drop(id) {
  const work = (await database()).transaction(["sessions", "blobs"], "readwrite");
  work.objectStore("sessions").delete(id);
  work.objectStore("blobs").delete(belonging(id));
  await new Promise((resolve, reject) => {
    work.oncomplete = resolve;
    work.onerror = work.onabort = () => reject(work.error);
  });
}
