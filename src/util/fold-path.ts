/**
 * Folds the case of a path: two paths with the same result are one file on a file system that
 * ignores case, the default on macOS and Windows. It folds more than any single system does, never
 * less, and it is idempotent.
 */

const ascii = /^[\u0000-\u007f]*$/

export function foldPath(path: string): string {
  if (ascii.test(path)) return path.toLowerCase()
  // Upper case before the last lower case, because that also unites letters that differ only in
  // lower case, such as the two small sigmas. Lower case before that, because the capital ẞ is its
  // own upper case, and ß has SS.
  return path.normalize('NFC').toLowerCase().toUpperCase().toLowerCase().normalize('NFC')
}
