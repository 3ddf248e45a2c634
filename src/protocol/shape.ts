import { HotspareError } from '../errors.js'

/**
 * Checks of what a peer sent. Each takes the decoded value and the name of its field, returns the
 * value with its type, and throws `PROTOCOL_VIOLATION` naming the field when it does not fit.
 * Who has proved the secret is still not believed about shapes, sizes and numbers.
 */

/** A decoded map. */
export type DecodedRecord = Readonly<Record<string, unknown>>

/** The error for a field that does not fit. */
export function violation(field: string, expected: string): HotspareError {
  return new HotspareError('PROTOCOL_VIOLATION', `The field ${field} is not ${expected}`, {
    details: { field },
  })
}

/** Whether the value is a plain map: no array, no bytes, no date. */
export function isRecord(value: unknown): value is DecodedRecord {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A map. @throws `PROTOCOL_VIOLATION` */
export function asRecord(value: unknown, field: string): DecodedRecord {
  if (!isRecord(value)) throw violation(field, 'a map')
  return value
}

/** A string of at most `lengthMax` UTF-16 units. @throws `PROTOCOL_VIOLATION` */
export function asString(value: unknown, field: string, lengthMax: number): string {
  if (typeof value !== 'string' || value.length > lengthMax) {
    throw violation(field, `a string of at most ${lengthMax} characters`)
  }
  return value
}

/** A string that is not empty, of at most `lengthMax` UTF-16 units. @throws `PROTOCOL_VIOLATION` */
export function asName(value: unknown, field: string, lengthMax: number): string {
  const name = asString(value, field, lengthMax)
  if (name === '') throw violation(field, 'a name: it is empty')
  return name
}

/** One of the given words. @throws `PROTOCOL_VIOLATION` */
export function asOneOf<Word extends string>(
  value: unknown,
  field: string,
  words: readonly Word[],
): Word {
  const word = words.find((each) => each === value)
  if (word === undefined) throw violation(field, `one of ${words.join(', ')}`)
  return word
}

/** A whole number from 0 to `max`, exact in a double. @throws `PROTOCOL_VIOLATION` */
export function asCount(
  value: unknown,
  field: string,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw violation(field, `a whole number from 0 to ${max}`)
  }
  return value
}

/** True or false. @throws `PROTOCOL_VIOLATION` */
export function asBoolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw violation(field, 'true or false')
  return value
}

/**
 * An array of at most `lengthMax` elements, each checked by `element`. @throws `PROTOCOL_VIOLATION`
 */
export function asArray<Element>(
  value: unknown,
  field: string,
  lengthMax: number,
  element: (value: unknown, field: string) => Element,
): Element[] {
  if (!Array.isArray(value) || value.length > lengthMax) {
    throw violation(field, `an array of at most ${lengthMax} elements`)
  }
  return value.map((each, index) => element(each, `${field}[${index}]`))
}

/**
 * A map of at most `entriesMax` entries, each value checked by `entry`; keys of at most 256
 * characters. The result has no prototype, so that no key of a peer means anything to JavaScript.
 * @throws `PROTOCOL_VIOLATION`
 */
export function asMap<Entry>(
  value: unknown,
  field: string,
  entriesMax: number,
  entry: (value: unknown, field: string) => Entry,
): Record<string, Entry> {
  const entries = Object.entries(asRecord(value, field))
  if (entries.length > entriesMax) throw violation(field, `a map of at most ${entriesMax} entries`)
  const checked: Record<string, Entry> = Object.create(null)
  for (const [key, each] of entries) {
    asString(key, `a key of ${field}`, KEY_LENGTH_MAX)
    checked[key] = entry(each, `${field}.${key}`)
  }
  return checked
}

/**
 * Undefined when the value is undefined or null, else what `check` says. @throws
 * `PROTOCOL_VIOLATION`
 */
export function asOptional<Value>(
  value: unknown,
  field: string,
  check: (value: unknown, field: string) => Value,
): Value | undefined {
  return value === undefined || value === null ? undefined : check(value, field)
}

/** Longest key of a map, in UTF-16 units; a longer one is `PROTOCOL_VIOLATION`. */
const KEY_LENGTH_MAX = 256
