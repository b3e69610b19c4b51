// Pictures in and out of the page.

import * as api from "./api.js";

/** Read a file as a picture: {name, blob, bitmap, width, height}. */
export async function readPicture(blob, name = blob.name ?? "picture.png") {
  try {
    const bitmap = await createImageBitmap(blob);
    return { name, blob, bitmap, width: bitmap.width, height: bitmap.height };
  } catch {
    // TIFF, PPM, and whatever else this browser cannot read.
    const shown = await api.display(blob);
    const bitmap = await createImageBitmap(shown.blob);
    return { name, blob, bitmap, width: shown.width, height: shown.height };
  }
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
