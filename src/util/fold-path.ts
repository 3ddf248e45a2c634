/**
 * Folds the case of a path: two paths with the same result are one file on a file system that
 * ignores case, the default on macOS and Windows. It folds more than any single system does, never
 * less, and it is idempotent.
 */

const ascii = /^[\u0000-\u007f]*$/

export function foldPath(path: string): string {
  if (ascii.test(path)) return path.toLowerCase()
  // Upper case first, because that also unites letters that differ only in lower case, such as the
  // two small sigmas.
  return path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
