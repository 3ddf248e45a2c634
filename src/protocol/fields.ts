/**
 * Checks decoded values from an untrusted source: messages of a peer, and documents on the disk. A
 * peer that has proved the secret may still send wrong types, sizes and numbers, and bytes with a
 * valid checksum may have been written by a defect. A reader has the name of what it reads and the
 * code of its errors: a malformed message is `PROTOCOL_VIOLATION`, a malformed document of this
 * node's own disk `STORAGE_CORRUPT`.
 *
 * Each method takes a value and the name of its field, returns the value with its type, and throws
 * when the value does not fit. Fields that are never asked for are ignored, because later versions
 * add fields.
 */

import type { ErrorCode } from '../error-codes.js'
import { HotspareError } from '../errors.js'
import {
  type Extent,
  epochMax,
  type History,
  type HistoryTerm,
  historyTermsMax,
  type Term,
} from '../history/position.js'
import { type DecodeOptions, decode } from './codec.js'

/** A decoded map whose fields are not checked yet. */
export type Fields = Readonly<Record<string, unknown>>

/** Default limit of a text in a message, in UTF-16 units; a longer one is refused. */
const peerTextMax = 1024
/** Longest id in a term, in UTF-16 units; a longer one is refused. */
const termIdMax = 256
/** Longest key of a map, in UTF-16 units; a longer one is refused. */
const keyLengthMax = 256
/** Elements in a row of a list, including those that later versions append; more are refused. */
const rowLengthMax = 16

/** Whether the value is a plain map: no array, no bytes, no date. */
export function isRecord(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/**
 * The value if it is one of these words; undefined for any other, which a later version may define.
 */
export function wordOf<Word extends string>(
  value: unknown,
  words: readonly Word[],
): Word | undefined {
  return words.find((each) => each === value)
}

/** Undefined when the value is undefined or null, else the result of `read`. */
export function optional<Value>(
  value: unknown,
  read: (value: unknown) => Value,
): Value | undefined {
  return value === undefined || value === null ? undefined : read(value)
}

function atMost(max: number, unit: string): string {
  return Number.isFinite(max) ? ` of at most ${max} ${unit}` : ''
}

/**
 * A reader of messages from a peer. `subject` names the message in errors, such as 'a forwarded
 * write'.
 */
export function fromPeer(subject: string): FieldReader {
  return new FieldReader('PROTOCOL_VIOLATION', subject, peerTextMax, epochMax)
}

/**
 * A reader of documents that this node wrote to its own disk. Lists and texts are limited by the
 * length of the document only. Epochs are not limited to the highest that a peer may name, because
 * this node's own term can be one above it.
 */
export function fromDisk(subject: string): FieldReader {
  return new FieldReader('STORAGE_CORRUPT', subject, Number.POSITIVE_INFINITY)
}

export class FieldReader {
  readonly #code: ErrorCode
  readonly #subject: string
  readonly #textMax: number
  readonly #epochMax: number

  constructor(
    code: ErrorCode,
    subject: string,
    textMax: number,
    highestEpoch: number = Number.MAX_SAFE_INTEGER,
  ) {
    this.#code = code
    this.#subject = subject
    this.#textMax = textMax
    this.#epochMax = highestEpoch
  }

  /** The error for a field that does not fit. */
  bad(field: string, expected?: string): HotspareError {
    const why = expected === undefined ? '' : `: it is not ${expected}`
    const what = `the field ${field} of ${this.#subject} is malformed${why}`
    return new HotspareError(this.#code, what, { details: { field } })
  }

  /** Decodes the bytes of a document or message. */
  decode(bytes: Uint8Array, options?: DecodeOptions): unknown {
    try {
      return decode(bytes, options)
    } catch (cause) {
      throw new HotspareError(this.#code, `${this.#subject} cannot be decoded`, { cause })
    }
  }

  /** A map. */
  fields(value: unknown, field: string): Fields {
    if (!isRecord(value)) throw this.bad(field, 'a map')
    return value
  }

  /** True or false. */
  flag(value: unknown, field: string): boolean {
    if (typeof value !== 'boolean') throw this.bad(field, 'true or false')
    return value
  }

  /** A whole number from 0 to `max`, exact in a double. */
  count(value: unknown, field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw this.bad(field, `a whole number from 0 to ${max}`)
    }
    return value
  }

  /** A finite number. */
  number(value: unknown, field: string): number {
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.bad(field, 'a number')
    return value
  }

  /** A string of at most `lengthMax` UTF-16 units. */
  text(value: unknown, field: string, lengthMax: number = this.#textMax): string {
    if (typeof value !== 'string' || value.length > lengthMax) {
      throw this.bad(field, `a string${atMost(lengthMax, 'characters')}`)
    }
    return value
  }

  /** A string that is not empty, of at most `lengthMax` UTF-16 units. */
  name(value: unknown, field: string, lengthMax: number = this.#textMax): string {
    if (typeof value !== 'string' || value.length === 0 || value.length > lengthMax) {
      throw this.bad(field, `a string that is not empty${atMost(lengthMax, 'characters')}`)
    }
    return value
  }

  /** One of these words. */
  word<Word extends string>(value: unknown, field: string, words: readonly Word[]): Word {
    const word = wordOf(value, words)
    if (word === undefined) throw this.bad(field, `one of ${words.join(', ')}`)
    return word
  }

  bytes(value: unknown, field: string): Uint8Array {
    if (!(value instanceof Uint8Array)) throw this.bad(field, 'bytes')
    return value
  }

  /** An array of at most `lengthMax` elements. */
  list(
    value: unknown,
    field: string,
    lengthMax: number = Number.POSITIVE_INFINITY,
  ): readonly unknown[] {
    if (!Array.isArray(value) || value.length > lengthMax) {
      throw this.bad(field, `an array${atMost(lengthMax, 'elements')}`)
    }
    return value
  }

  /** A row of a list: an array whose positions have fixed meanings. */
  row(value: unknown, field: string): readonly unknown[] {
    return this.list(value, field, rowLengthMax)
  }

  /** An array of strings. */
  texts(value: unknown, field: string, lengthMax?: number, textMax?: number): string[] {
    return this.list(value, field, lengthMax).map((one) => this.text(one, field, textMax))
  }

  /**
   * A map of at most `entriesMax` texts, with keys of at most 256 characters. The result has no
   * prototype, so that a key such as `__proto__` has no effect.
   */
  textMap(
    value: unknown,
    field: string,
    entriesMax: number,
    textMax: number,
  ): Record<string, string> {
    const entries = Object.entries(this.fields(value, field))
    if (entries.length > entriesMax) throw this.bad(field, `a map of at most ${entriesMax} entries`)
    const checked: Record<string, string> = Object.create(null)
    for (const [key, each] of entries) {
      this.text(key, `a key of ${field}`, keyLengthMax)
      checked[key] = this.text(each, `${field}.${key}`, textMax)
    }
    return checked
  }

  term(value: unknown, field: string): Term {
    const { epoch, nodeId, bootId } = this.fields(value, field)
    return {
      epoch: this.count(epoch, `${field}.epoch`, this.#epochMax),
      nodeId: this.text(nodeId, `${field}.nodeId`, termIdMax),
      bootId: this.text(bootId, `${field}.bootId`, termIdMax),
    }
  }

  /** A history, whose epochs and positions rise. */
  history(value: unknown, field: string): History {
    const terms = this.list(value, field, historyTermsMax).map((one): HistoryTerm => {
      const { firstSeq } = this.fields(one, field)
      const { epoch, nodeId, bootId } = this.term(one, field)
      return { epoch, nodeId, bootId, firstSeq: this.count(firstSeq, `${field}.firstSeq`) }
    })
    for (let at = 1; at < terms.length; at += 1) {
      const before = terms[at - 1]
      const term = terms[at]
      if (before === undefined || term === undefined) continue
      if (term.epoch <= before.epoch || term.firstSeq <= before.firstSeq) {
        throw this.bad(field, 'a history, whose terms rise')
      }
    }
    return terms
  }

  extent(value: unknown, field: string): Extent {
    const { history, seq } = this.fields(value, field)
    return { history: this.history(history, field), seq: this.count(seq, `${field}.seq`) }
  }
}
