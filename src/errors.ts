/** The error that every failing call of the library rejects with. */
import { type ErrorCode, errorCodes } from './error-codes.js'

/** A value in the details of an error: plain data, so that it can be logged and sent to a peer. */
export type ErrorDetail = string | number | boolean | null | undefined | readonly ErrorDetail[]

/** Facts about one error, for programs. Which of them are present depends on the code. */
export interface ErrorDetails {
  /** The path that the error is about. */
  readonly path?: string | undefined
  /** What stands in the way of that path (`PATH_BLOCKED`). */
  readonly obstacle?: string | undefined
  /** The class of the SyncPolicy that the error is about. */
  readonly className?: string | undefined
  /** The option that has to change. */
  readonly option?: string | undefined
  /** The limit that was reached, in the unit of the option of that name. */
  readonly limit?: number | undefined
  /** What was there instead, in the same unit as `limit`. */
  readonly actual?: number | undefined
  /** The node that the error is about. */
  readonly nodeId?: string | undefined
  /** The id of the active node, where it is known (`NOT_ACTIVE`). */
  readonly active?: string | undefined
  /** Further facts. */
  readonly [name: string]: ErrorDetail
}

/** What a {@link HotspareError} can carry besides its code and message. */
export interface HotspareErrorOptions {
  /** The error underneath, if any. */
  readonly cause?: unknown
  /** Facts for programs. */
  readonly details?: ErrorDetails | undefined
  /** Replaces the code's own answer to "may the same call succeed later?". */
  readonly retryable?: boolean | undefined
  /** Replaces the code's own remedy where it would mislead. */
  readonly whatToDo?: string | undefined
}

/**
 * The remedies of errors that say something else than their code does; no property of theirs, so
 * that logs stay short.
 */
const ownRemedies = new WeakMap<HotspareError, string>()

/**
 * The error that every failing call of the library rejects with. Programmer's misuse, such as an
 * argument of the wrong type, is a `TypeError` instead.
 *
 * @example
 * ```ts
 * import { HotspareError } from 'hotspare'
 *
 * export function describe(error: unknown): string {
 *   if (!HotspareError.is(error)) return 'a defect'
 *   return error.retryable ? `later: ${error.message}` : `${error.code}: ${error.message}`
 * }
 * ```
 */
export class HotspareError extends Error {
  static {
    // On the prototype, so that the stack already shows it and it is no property of each error.
    HotspareError.prototype.name = 'HotspareError'
  }

  /** What happened, stable within a major version. */
  readonly code: ErrorCode
  /**
   * Whether the same call may succeed later. Decide by this and not by the code: a write that was
   * given up when it had its place in the journal ends with `ABORTED` too, and says false here,
   * because it has happened.
   */
  readonly retryable: boolean
  /** Facts for programs; an empty object when there are none. */
  readonly details: ErrorDetails

  /**
   * @param code - one of {@link errorCodes}
   * @param what - what happened here, with names and numbers, without a full stop at the end; the
   *   code's remedy is appended. The code's summary when empty.
   * @param options - cause, details
   */
  constructor(code: ErrorCode, what: string = '', options: HotspareErrorOptions = {}) {
    const info = errorCodes[code]
    const sentence = what === '' ? info.summary : /[.!?]$/.test(what) ? what : `${what}.`
    super(
      `${sentence} ${options.whatToDo ?? info.whatToDo}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    if (options.whatToDo !== undefined) ownRemedies.set(this, options.whatToDo)
    this.code = code
    this.retryable = options.retryable ?? info.retryable
    this.details = options.details ?? {}
  }

  /**
   * Whether a caught value is a HotspareError, and of this code if one is given.
   *
   * @param value - anything
   * @param code - the code to look for; any when left out
   */
  static is(value: unknown, code?: ErrorCode): value is HotspareError {
    return value instanceof HotspareError && (code === undefined || value.code === code)
  }
}

/**
 * Throws `INTERNAL` when an invariant does not hold. It stays in production: going on with a broken
 * invariant could lose data, stopping cannot.
 *
 * @param condition - what must hold
 * @param what - the invariant, said as what is wrong
 * @throws `INTERNAL` when the condition is false
 */
export function assertInvariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new HotspareError('INTERNAL', what)
}

/**
 * The remedy that an error was given in place of that of its code; undefined where it has none of
 * its own.
 */
export function ownRemedy(error: HotspareError): string | undefined {
  return ownRemedies.get(error)
}

/**
 * What an error says, without the remedy that its message ends with: for the text of another error,
 * whose own remedy is appended in its turn.
 */
export function whatHappened(error: unknown): string {
  if (!(error instanceof HotspareError)) return String(error)
  const remedy = ` ${ownRemedy(error) ?? errorCodes[error.code].whatToDo}`
  const { message } = error
  return message.endsWith(remedy) ? message.slice(0, -remedy.length) : message
}
