/**
 * Which paths a class claims. Globs are checked and normalised here. Braces are expanded here too,
 * because `glob-overlap.ts`, which proves that no two classes claim the same path, models globs
 * without braces only.
 */
import picomatch from 'picomatch'
import { HotspareError } from '../errors.js'
import { isValidPath, pathProblem, reservedDirectory } from './path-rules.js'

/** Globs in one class; more are `OPTION_INVALID`. */
export const globsMax: number = 256

/** Longest glob, in UTF-16 units; a longer one is `OPTION_INVALID`. */
export const globLengthMax: number = 1024

/** Globs that the braces of one glob may expand to; more are `OPTION_INVALID`. */
export const globAlternativesMax: number = 256

/** One glob without braces. */
export interface GlobAlternative {
  /** The glob as text. */
  readonly text: string
  /** Its parts between separators. */
  readonly segments: readonly string[]
  /** `literal` matches one path; `simple` uses only `*`, `?` and `**`; `opaque` uses more. */
  readonly form: 'literal' | 'simple' | 'opaque'
}

/** The globs of one class, ready to match. */
export interface GlobSet {
  /** What the class claims, except for `excluded`. */
  readonly included: readonly GlobAlternative[]
  /** What is excluded from the claim. */
  readonly excluded: readonly GlobAlternative[]
  /** Whether the class claims a path. The path has passed `checkPath`. */
  matches(path: string): boolean
  /** Whether something below the path could be claimed, exclusions aside. */
  reachesBelow(path: string): boolean
}

/**
 * Checks globs and brings them into one form: `/` between the parts, Unicode form NFC, no glob
 * twice.
 *
 * @throws `OPTION_INVALID` naming the glob and what is wrong with it
 * @throws TypeError when a glob is no string
 */
export function normaliseGlobs(globs: string | readonly string[]): readonly string[] {
  const list = typeof globs === 'string' ? [globs] : globs
  if (!Array.isArray(list)) throw new TypeError('globs are a string or an array of strings')
  if (list.length === 0) throw globError('[]', 'a class needs at least one glob')
  if (list.length > globsMax)
    throw globError(`${list.length} globs`, `at most ${globsMax} fit a class`)
  const normalised = list.map(normaliseGlob)
  if (normalised.every(isExclusion)) {
    throw globError(normalised.join(', '), "a class that only excludes ('!') claims nothing")
  }
  return Object.freeze([...new Set(normalised)])
}

/** Whether a glob excludes paths; `!(a|b)` is a pattern of picomatch instead. */
function isExclusion(glob: string): boolean {
  return glob.startsWith('!') && !glob.startsWith('!(')
}

function normaliseGlob(glob: unknown): string {
  if (typeof glob !== 'string') throw new TypeError(`a glob is a string, not ${typeof glob}`)
  if (glob.length > globLengthMax) {
    throw globError(`${glob.slice(0, 100)}…`, `it is longer than ${globLengthMax} characters`)
  }
  const excludes = isExclusion(glob)
  const body = (excludes ? glob.slice(1) : glob).normalize('NFC').replaceAll('\\', '/')
  for (const alternative of expandBraces(body)) checkAlternative(alternative, glob)
  return `${excludes ? '!' : ''}${body}`
}

/**
 * Refuses a glob that can match no valid path, or that would match something other than its author
 * meant.
 */
function checkAlternative(text: string, glob: string): void {
  if (text === '') throw globError(glob, 'it is empty')
  if (text.startsWith('/')) throw globError(glob, 'it is absolute')
  // A colon marks an absolute path on Windows; the other characters occur in no valid path.
  const forbidden = /[\u0000-\u001f\u007f-\u009f<>":]/.exec(text)
  if (forbidden !== null) {
    throw globError(glob, `no path can contain the character ${JSON.stringify(forbidden[0])}`)
  }
  const segments = text.split('/')
  for (const segment of segments) {
    if (segment === '') throw globError(glob, "it has an empty part; 'name/**' claims a directory")
    if (segment === '.' || segment === '..') throw globError(glob, `it has the part '${segment}'`)
    if (segment.includes('**') && segment !== '**') {
      throw globError(glob, "'**' must stand alone between separators")
    }
    if (isExclusion(segment)) {
      throw globError(glob, "'!' may only stand before the whole glob")
    }
  }
  if (segments[0]?.toLowerCase() === reservedDirectory) {
    throw globError(glob, `it reaches into ${reservedDirectory}, which is hotspare's own`)
  }
  const alternative = parseAlternative(text)
  if (alternative.form === 'literal' && !isValidPath(text)) {
    throw globError(glob, `no path can match it: it ${pathProblem(text)}`)
  }
}

/** Expands `{a,b}`, nested too, into one text for each choice. */
export function expandBraces(glob: string): string[] {
  const results: string[] = []
  const waiting = [glob]
  for (let text = waiting.pop(); text !== undefined; text = waiting.pop()) {
    const choice = firstBraces(text, glob)
    if (choice === undefined) {
      results.push(text)
    } else {
      // In reverse, because the option pushed last is expanded first: this keeps the written order.
      for (const option of choice.options.reverse()) {
        waiting.push(`${choice.before}${option}${choice.after}`)
      }
    }
    if (results.length + waiting.length > globAlternativesMax) {
      throw globError(glob, `its braces expand to more than ${globAlternativesMax} globs`)
    }
  }
  return results
}

/** The first outermost braces of a glob, split at their own commas. */
function firstBraces(
  text: string,
  glob: string,
): { before: string; options: string[]; after: string } | undefined {
  const open = text.indexOf('{')
  if (open < 0) {
    if (text.includes('}')) throw globError(glob, "a '}' has no '{'")
    return undefined
  }
  if (text.slice(0, open).includes('}')) throw globError(glob, "a '}' has no '{'")
  const options: string[] = []
  let depth = 0
  let start = open + 1
  for (let at = open; at < text.length; at += 1) {
    const character = text[at]
    if (character === '{') depth += 1
    if (character === '}') depth -= 1
    if ((character === ',' && depth === 1) || depth === 0) {
      options.push(text.slice(start, at))
      start = at + 1
    }
    if (depth > 0) continue
    if (options.length < 2) throw globError(glob, "braces need a comma, as in '{a,b}'")
    return { before: text.slice(0, open), options, after: text.slice(at + 1) }
  }
  throw globError(glob, "a '{' has no '}'")
}

function parseAlternative(text: string): GlobAlternative {
  // Two '**' in a row, which expanded braces can produce, mean the same as one.
  const segments = text.split('/').filter((part, at, all) => part !== '**' || all[at - 1] !== '**')
  const form = /[[\]()|]/.test(text) ? 'opaque' : /[*?]/.test(text) ? 'simple' : 'literal'
  return { text: segments.join('/'), segments, form }
}

/**
 * Makes the globs of one class ready to match.
 *
 * @param globs - as {@link normaliseGlobs} returned them
 */
export function compileGlobs(globs: readonly string[]): GlobSet {
  const parse = (glob: string): GlobAlternative[] => expandBraces(glob).map(parseAlternative)
  const included = globs.filter((glob) => !isExclusion(glob)).flatMap(parse)
  const excluded = globs.filter(isExclusion).flatMap((glob) => parse(glob.slice(1)))
  const isIncluded = matcherOf(included)
  const isExcluded = matcherOf(excluded)
  let belowMatchers: ((parts: readonly string[]) => boolean)[] | undefined
  return {
    included,
    excluded,
    matches: (path) => isIncluded(path) && !isExcluded(path),
    reachesBelow: (path) => {
      belowMatchers ??= included.map(belowMatcherOf)
      const parts = path.split('/')
      return belowMatchers.some((matchesBelow) => matchesBelow(parts))
    },
  }
}

/**
 * The text has no braces and no exclusion any more. `fastpaths` is off because picomatch's fast
 * paths ignore `dot`.
 */
function compile(text: string): (path: string) => boolean {
  return picomatch(text, { dot: true, nobrace: true, nonegate: true, fastpaths: false })
}

/** Makes a test whether a glob can match something below a path. */
function belowMatcherOf({
  segments,
  text,
}: GlobAlternative): (parts: readonly string[]) => boolean {
  // Alternatives in parentheses may contain separators, so the glob cannot be compared part by
  // part.
  if (/[()|]/.test(text)) return () => true
  const tests = segments.map((segment) => (segment === '**' ? undefined : compile(segment)))
  const any = tests.indexOf(undefined)
  return (parts) => {
    for (const [at, part] of parts.entries()) {
      if (at === any) return true
      if (tests[at]?.(part) !== true) return false
    }
    return tests.length > parts.length
  }
}

/** `x/**` also matches `x`. Picomatch does so for some `x` only, so both forms are compiled. */
function matchedForms(text: string): string[] {
  return text.endsWith('/**') ? [text, text.slice(0, -'/**'.length)] : [text]
}

function matcherOf(alternatives: readonly GlobAlternative[]): (path: string) => boolean {
  const literals = new Set<string>()
  const tests: ((path: string) => boolean)[] = []
  for (const { form, text } of alternatives) {
    if (form === 'literal') literals.add(text)
    else tests.push(...matchedForms(text).map(compile))
  }
  return (path) => literals.has(path) || tests.some((test) => test(path))
}

function globError(glob: string, problem: string): HotspareError {
  return new HotspareError('OPTION_INVALID', `glob ${JSON.stringify(glob)}: ${problem}`, {
    details: { option: 'globs', glob },
  })
}
