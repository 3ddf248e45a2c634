// Reads the list of mutants, and applies one to a source.
import { readFile } from 'node:fs/promises'

/**
 * @typedef {object} Mutant
 * @property {string} id
 * @property {string} file - below the root of the project
 * @property {string} before - code that occurs exactly once in the file; line breaks in it do not
 *   matter
 * @property {string} after - the code that replaces it
 * @property {string} rule - the rule that it breaks, in words
 * @property {string[]} [profiles] - of the simulator, those that likely notice; otherwise the seed
 *   decides
 * @property {string[]} [tests] - test files that likely notice
 */

/** @returns {Promise<Mutant[]>} */
export async function readMutants() {
  return JSON.parse(await readFile(new URL('list.json', import.meta.url), 'utf8'))
}

const special = /[.*+?^${}()|[\]\\]/g

/**
 * Applies a mutant to a source.
 *
 * @param {string} source
 * @param {Mutant} mutant
 * @throws when the code is not there exactly once
 */
export function patched(source, { id, file, before, after }) {
  // All white space is equivalent, so that code with other line breaks is still found.
  const pattern = before
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(special, '\\$&'))
    .join('\\s+')
  // `freeze(…)` is not the end of `unfreeze(…)`.
  const found = [...source.matchAll(new RegExp(`(?<!\\w)${pattern}`, 'g'))]
  if (found.length !== 1) {
    throw new Error(`mutant ${id}: '${before}' is ${found.length} times in ${file}, not once`)
  }
  const { index } = found[0]
  return source.slice(0, index) + after + source.slice(index + found[0][0].length)
}
