/** Rejects unknown option names, because a misspelt option would silently take its default. */
import { HotspareError } from '../errors.js'

/**
 * Refuses a value that is not an object, and any name in it that is not known.
 *
 * @param what - whose options these are, as the message names it
 * @throws `OPTION_INVALID` with the name and, where one is similar, the known name
 */
export function requireKnown(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new HotspareError('OPTION_INVALID', `${what} is ${String(given)}, wanted an object`)
  }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || known.includes(name)) continue
    const nearest = known.find((each) => isNear(each.toLowerCase(), name.toLowerCase()))
    const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
    const details = { option: name }
    throw new HotspareError('OPTION_INVALID', `${what} has no ${name}${hint}`, { details })
  }
}

/**
 * Whether the edit distance is at most 1, or a quarter of the length of `right` if that is more.
 */
function isNear(left: string, right: string): boolean {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at)
  for (const [at, letter] of [...left].entries()) {
    const next = [at + 1]
    for (const [to, other] of [...right].entries()) {
      const changed = (row[to] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(changed, (row[to + 1] ?? 0) + 1, (next[to] ?? 0) + 1))
    }
    row = next
  }
  return (row[right.length] ?? 0) <= Math.max(1, Math.floor(right.length / 4))
}
