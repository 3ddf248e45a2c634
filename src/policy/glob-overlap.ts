/**
 * Proves that two classes claim a common path, by finding one.
 *
 * Each glob becomes an automaton that reads a path character by character. A breadth-first search
 * runs two of them side by side, together with those of all exclusions of both classes, until both
 * accept and no exclusion does. It finds the shortest common path, or none. Only the characters
 * that occur in the globs matter; one other character represents all the rest.
 *
 * A path found is confirmed with the real matchers, so two classes are never refused wrongly. Globs
 * with brackets or parentheses are not modelled: unless the other glob is a literal path, an
 * overlap with one is reported only when a path meets both classes.
 */
import type { GlobAlternative, GlobSet } from './glob.js'

/** A path that two classes both claim, and the globs by which they do. */
export interface GlobOverlap {
  readonly path: string
  readonly first: string
  readonly second: string
}

/**
 * Points examined for one pair of globs; beyond it, an overlap is reported when a path is written
 * instead of when the policy is constructed.
 */
const searchStepsMax = 10_000

/** Finds a path that both sets claim, if one can be found. */
export function findOverlap(first: GlobSet, second: GlobSet): GlobOverlap | undefined {
  const isShared = (path: string): boolean => first.matches(path) && second.matches(path)
  const excluded = [...first.excluded, ...second.excluded]
  for (const left of first.included) {
    for (const right of second.included) {
      const path = commonPath(left, right, excluded)
      if (path !== undefined && isShared(path)) {
        return { path, first: left.text, second: right.text }
      }
    }
  }
  return undefined
}

function commonPath(
  left: GlobAlternative,
  right: GlobAlternative,
  excluded: readonly GlobAlternative[],
): string | undefined {
  if (left.form === 'literal') return left.text
  if (right.form === 'literal') return right.text
  if (left.form === 'opaque' || right.form === 'opaque') return undefined
  const modelled = excluded.filter(({ form }) => form !== 'opaque')
  return search([left, right, ...modelled])
}

/** What a step of an automaton reads: one character, any but a separator, or any at all. */
type Reads = { readonly one: string } | 'anyInSegment' | 'anything'

/** States are numbers; a path matches when it leads to the last one. */
interface Automaton {
  readonly steps: readonly (readonly { readonly reads: Reads; readonly to: number }[])[]
  /** The states reached from a state without reading. */
  readonly jumps: readonly (readonly number[])[]
}

/**
 * Builds the automaton of a glob. Paths with empty parts are not excluded here, because the search
 * never generates one.
 */
function automatonOf(segments: readonly string[]): Automaton {
  const steps: { reads: Reads; to: number }[][] = [[]]
  const jumps: number[][] = [[]]
  let last = 0

  const add = (reads?: Reads): void => {
    steps.push([])
    jumps.push([])
    if (reads === undefined) jumps[last]?.push(last + 1)
    else steps[last]?.push({ reads, to: last + 1 })
    last += 1
  }
  const addLoop = (reads: Reads): void => {
    add()
    steps[last]?.push({ reads, to: last })
  }
  const separator: Reads = { one: '/' }

  for (const [at, segment] of segments.entries()) {
    const before = last
    if (segment === '**' && at === segments.length - 1) {
      // Alone: anything. After 'x': x itself, or a separator and anything.
      if (at > 0) add(separator)
      addLoop('anything')
      add()
      if (at > 0) jumps[before]?.push(last)
    } else if (segment === '**') {
      // Nothing, or parts that bring the separator before the next one.
      if (at > 0) add(separator)
      const start = last
      addLoop('anything')
      add(separator)
      jumps[start]?.push(last)
    } else {
      if (at > 0 && segments[at - 1] !== '**') add(separator)
      for (const character of segment.split('')) {
        if (character === '*') addLoop('anyInSegment')
        else add(character === '?' ? 'anyInSegment' : { one: character })
      }
    }
  }
  return { steps, jumps }
}

/** All states reached from the given ones without reading, in ascending order. */
function closure(automaton: Automaton, states: Iterable<number>): number[] {
  const reached = new Set(states)
  // A set iterates over what is added to it meanwhile.
  for (const state of reached) for (const to of automaton.jumps[state] ?? []) reached.add(to)
  return [...reached].sort((a, b) => a - b)
}

function advance(automaton: Automaton, states: readonly number[], character: string): number[] {
  const next: number[] = []
  for (const state of states) {
    for (const { reads, to } of automaton.steps[state] ?? []) {
      const isRead =
        reads === 'anything' ||
        (reads === 'anyInSegment' ? character !== '/' : reads.one === character)
      if (isRead) next.push(to)
    }
  }
  return closure(automaton, next)
}

/** One point of the search: the path so far and where each automaton is. */
interface Point {
  readonly path: string
  readonly states: readonly (readonly number[])[]
}

/** The shortest path that the first two globs match and none of the others does. */
function search(globs: readonly GlobAlternative[]): string | undefined {
  const automata = globs.map(({ segments }) => automatonOf(segments))
  const alphabet = alphabetOf(globs)
  const queue: Point[] = [
    { path: '', states: automata.map((automaton) => closure(automaton, [0])) },
  ]
  const seen = new Set<string>()
  for (const { path, states } of queue) {
    const mayEndSegment = path !== '' && !path.endsWith('/')
    if (mayEndSegment && isWanted(automata, states)) return path
    if (queue.length > searchStepsMax) return undefined
    for (const character of alphabet) {
      if (character === '/' && !mayEndSegment) continue
      const next = automata.map((automaton, at) => advance(automaton, states[at] ?? [], character))
      if (next[0]?.length === 0 || next[1]?.length === 0) continue
      const key = `${character === '/'}|${next.join('|')}`
      if (seen.has(key)) continue
      seen.add(key)
      queue.push({ path: path + character, states: next })
    }
  }
  return undefined
}

function isWanted(automata: readonly Automaton[], states: Point['states']): boolean {
  return automata.every((automaton, at) => {
    const isAccepting = states[at]?.at(-1) === automaton.steps.length - 1
    return isAccepting === at < 2
  })
}

/** Every character in the globs, the separator, and one that represents all others. */
function alphabetOf(globs: readonly GlobAlternative[]): string[] {
  const named = new Set(globs.flatMap(({ text }) => text.split('')))
  for (const wildcard of ['*', '?', '/']) named.delete(wildcard)
  const candidates = 'xyzabcdefghijklmnopqrstuvwABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.split('')
  const other = candidates.find((character) => !named.has(character)) ?? '\u{e000}'
  return [other, ...named, '/']
}
