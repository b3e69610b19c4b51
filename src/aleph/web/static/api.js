// The HTTP API of docs/web.md.

const BASE = new URL("api/v1/", document.baseURI);
const RECONNECTS = 5;
const UNREACHABLE =
  "The program that mends photos does not answer. Is it still running? Your work is kept here.";
const LOCKED =
  "This page needs its whole address, with all that follows the # sign. It was shown where the program was started.";
const FINAL = new Set(["done", "failed", "cancelled"]);

/** A refusal: its sentence, its status, and how many seconds to wait. */
export class Refusal extends Error {
  constructor(message, status = 0, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Takes the token out of the address, so that it is neither shared nor bookmarked by accident. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem("token");
}

const token = takeToken();

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), { cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(UNREACHABLE);
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    throw new Refusal(LOCKED, 401);
  }
  const problem = await answer.json().catch(() => ({}));
  const said = sentence(problem.detail ?? `The server answered ${answer.status}`);
  throw new Refusal(said, answer.status, Number(answer.headers.get("Retry-After")) || 0);
}

/** What the server says, as a sentence of its own. */
export function sentence(words) {
  const begun = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined) data.append(name, one);
    }
  }
  return data;
}

const json = async (path) => (await call(path)).json();
const blob = async (path, options) => (await call(path, options)).blob();

export const models = () => json("models");
export const samples = () => json("samples");
export const photos = () => json("photos");
export const photo = (name) => blob(`photos/${encodeURIComponent(name)}`);
export const samplePart = (name, part) => blob(`samples/${name}/${part}`);
export const job = (id) => json(`jobs/${id}`);
export const animation = (id, format) => blob(`jobs/${id}/animation?format=${format}`);
export const weights = (mask, weighting) =>
  blob("weights", { method: "POST", body: form({ mask, weighting }) });

/** How likely each pixel of a picture is damaged, as a grey picture: white = certainly. */
export const damage = (image, signal) =>
  blob("damage", { method: "POST", body: form({ image }), signal });

/** What a photo is; refused where it could not be filled. */
export async function check(image) {
  return (await call("check", { method: "POST", body: form({ image }) })).json();
}

/** Frames of the faces that the hole of a picture touches. */
export async function frames(image, mask, signal) {
  return (await call("frames", { method: "POST", body: form({ image, mask }), signal })).json();
}

/** A picture that this browser cannot read, as one that it can, and its true size. */
export async function display(image) {
  const answer = await call("display", { method: "POST", body: form({ image }) });
  const side = (name) => Number(answer.headers.get(name));
  return { blob: await answer.blob(), width: side("X-Width"), height: side("X-Height") };
}

export function result(id, candidate, query = {}) {
  return blob(`jobs/${id}/result?${new URLSearchParams({ candidate, ...query })}`);
}

/** Ask for a fill; returns the job. */
export async function inpaint(image, mask, options, signal) {
  const body = form({ image, mask, ...options });
  return (await call("inpaint?wait=false", { method: "POST", body, signal })).json();
}

/** Cancel a job, or forget its result; works while the page is being left. */
export const forget = (id) =>
  call(`jobs/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});

/** Yield {name, data} as they come, across broken connections, until the job is over. */
export async function* events(id, signal) {
  let last = -1;
  for (let attempt = 0; attempt < RECONNECTS; attempt++) {
    const headers = last < 0 ? {} : { "Last-Event-ID": String(last) };
    const answer = await call(`jobs/${id}/events`, { headers, signal });
    try {
      for await (const event of parse(answer.body)) {
        last = event.id;
        attempt = 0;
        yield event;
        if (FINAL.has(event.name)) return;
      }
    } catch (error) {
      if (signal?.aborted) throw error;
    }
  }
  throw new Refusal("The connection broke off. Fill again.");
}

async function* parse(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1];
      if (field("event")) {
        yield { id: Number(field("id")), name: field("event"), data: JSON.parse(field("data")) };
      }
    }
  }
}
