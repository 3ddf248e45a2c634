/**
 * A path as a file system has it that does not tell upper from lower case, which is the default on
 * macOS and Windows: two paths that are equal then are one file there. It folds more than any one
 * system does, never less, and doing it again changes nothing.
 */

const ascii = /^[\u0000-\u007f]*$/

export function foldPath(path: string): string {
  if (ascii.test(path)) return path.toLowerCase()
  // Upper case first: it also brings together what has no lower case of its own, such as the two
  // sigmas.
  return path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
