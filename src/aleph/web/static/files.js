// Pictures in and out of the page.

import * as api from "./api.js";

const MEGA = 1_000_000;

/**
 * Read a file as a picture: {name, blob, shown, bitmap, width, height}.
 *
 * What the server would refuse is refused here. `shown` is what is displayed where the browser
 * cannot read the file itself.
 */
export async function readPicture(blob, name, offer) {
  const most = offer.max_upload_bytes - 100_000; // the form around it takes a little
  if (blob.size > most) {
    const [has, may] = [blob.size, most].map((bytes) => Math.ceil((10 * bytes) / MEGA) / 10);
    throw new api.Refusal(`This file has ${has} MB; up to ${may} MB can be mended here.`);
  }
  // In memory: the file on the disk may change or vanish while the photo is being mended.
  const kept = new Blob([await blob.arrayBuffer()], { type: blob.type });
  const known = !offer.formats || offer.formats.includes(kept.type);
  const own = known ? await createImageBitmap(kept).catch(() => null) : null;
  const shown = own ? null : await api.display(kept);
  const bitmap = own ?? (await createImageBitmap(shown.blob));
  const { width, height } = shown ?? bitmap;
  if (width * height > offer.max_pixels) {
    const [has, may] = [width * height, offer.max_pixels].map((count) => Math.round((10 * count) / MEGA) / 10);
    throw new api.Refusal(
      `This photo has ${has} megapixels; up to ${may} can be mended here. Make it smaller first.`,
    );
  }
  return { name, blob: kept, shown: shown?.blob ?? null, bitmap, width, height };
}

/** The first picture among what was dropped or pasted. */
export function pictureAmong(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find(({ type, name }) => type.startsWith("image/") || /\.(tiff?|p[pg]m)$/i.test(name));
}

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The name of a picture without its ending. */
export const stem = (name) => name.replace(/\.[^.]*$/, "") || "picture";
