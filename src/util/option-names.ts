/** Options that nobody reads are mistakes: a misspelt one would silently be the default. */
import { HotspareError } from '../errors.js'

/**
 * Refuses what is no object, and names in it that are not known.
 *
 * @param what - whose options these are, for the message
 * @throws `OPTION_INVALID` with the name, and the known one that is nearest to it
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

/** Whether one becomes the other with few letters changed, added or left out. */
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
