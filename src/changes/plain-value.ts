/**
 * Defines the plain data that changes and snapshots of application state may contain: values that
 * every node decodes exactly as they were encoded. Anything else is refused, with its place in the
 * value, before it is written.
 */
import { HotspareError } from '../errors.js'
import { decode, encode } from '../protocol/codec.js'

/**
 * Nested arrays and objects in a change, far below the decoder's limit; deeper values are
 * `VALUE_INVALID`.
 */
export const valueDepthMax = 100
/**
 * The same for a snapshot, which is deeper than the changes that it contains; a deeper one is
 * `SNAPSHOT_FAILED`.
 */
export const snapshotDepthMax = 120

/** What cannot be replicated, and its place in the value. */
interface Flaw {
  readonly what: string
  readonly at: string
}

/**
 * Refuses a value that is not plain data. `of` names the value in the message.
 *
 * @throws `VALUE_INVALID` with the place of the offending part
 */
export function requirePlain(value: unknown, of: string, depthMax: number = valueDepthMax): void {
  const flaw = flawOf(value, depthMax)
  if (flaw === undefined) return
  throw new HotspareError('VALUE_INVALID', `${of} contains ${flaw.what} at value${flaw.at}`)
}

/** Whether a value is plain data. */
export function isPlainValue(value: unknown): boolean {
  return flawOf(value, valueDepthMax) === undefined
}

/**
 * A copy of plain data, so that neither side sees later changes of the other. A value that is not
 * plain data is returned itself.
 */
export function copyPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value)
  return isPlainValue(value) ? decode(encode(value), { copyBytes: true }) : value
}

function flawOf(value: unknown, depthLeft: number): Flaw | undefined {
  switch (typeof value) {
    case 'number':
    case 'boolean':
    case 'undefined':
      return undefined
    case 'string':
      return isText(value) ? undefined : here(brokenText)
    case 'bigint':
      return isIn64Bits(value) ? undefined : here('a bigint of more than 64 bits')
    case 'object':
      return value === null ? undefined : flawOfObject(value, depthLeft)
    default:
      return here(`a ${typeof value}`)
  }
}

function flawOfObject(value: object, depthLeft: number): Flaw | undefined {
  if (value instanceof Uint8Array) return undefined
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? here('an invalid Date') : undefined
  }
  if (depthLeft === 0) return here('too many levels, or itself,')
  if (Array.isArray(value)) return flawOfArray(value, depthLeft)
  return isPlain(value) ? flawOfRecord(value, depthLeft) : here(nameOf(value))
}

function flawOfArray(value: readonly unknown[], depthLeft: number): Flaw | undefined {
  for (let at = 0; at < value.length; at += 1) {
    const flaw = flawOf(value[at], depthLeft - 1)
    if (flaw !== undefined) return { what: flaw.what, at: `[${at}]${flaw.at}` }
  }
  return undefined
}

function flawOfRecord(value: object, depthLeft: number): Flaw | undefined {
  for (const key of Object.keys(value)) {
    if (key === '__proto__') return here("the key '__proto__'")
    const place = (): string => `[${JSON.stringify(key)}]`
    if (!isText(key)) return { what: brokenText, at: place() }
    const flaw = flawOf((value as Readonly<Record<string, unknown>>)[key], depthLeft - 1)
    if (flaw !== undefined) return { what: flaw.what, at: `${place()}${flaw.at}` }
  }
  return undefined
}

function here(what: string): Flaw {
  return { what, at: '' }
}

const brokenText = 'half of a surrogate pair, which is no text (see toWellFormed())'

/** False for half of a surrogate pair, because decoders replace it in different ways. */
function isText(value: string): boolean {
  return value.isWellFormed()
}

function isIn64Bits(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
}

/** Also true for a plain object of another realm, such as a `node:vm` context. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'toString')
}

function nameOf(value: object): string {
  const { name } = value.constructor ?? {}
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'a class instance'
}
