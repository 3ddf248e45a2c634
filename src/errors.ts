/** The error that every failing call of the library rejects with. */
import { type ErrorCode, errorCodes } from './error-codes.js'

/** A value in the details of an error: plain data, so that it can be logged and sent to a peer. */
export type ErrorDetail = string | number | boolean | null | undefined | readonly ErrorDetail[]

/** Facts about one error, for programs. Which of them are present depends on the code. */
export interface ErrorDetails {
  /** The path that the error is about. */
  readonly path?: string | undefined
  /** What obstructs that path (`PATH_BLOCKED`). */
  readonly obstacle?: string | undefined
  /** The class of the SyncPolicy that the error is about. */
  readonly className?: string | undefined
  /** The option that has to change. */
  readonly option?: string | undefined
  /** The limit that was reached, in the unit of the option of that name. */
  readonly limit?: number | undefined
  /** The actual value, in the same unit as `limit`. */
  readonly actual?: number | undefined
  /** The node that the error is about. */
  readonly nodeId?: string | undefined
  /** The id of the active node, if known (`NOT_ACTIVE`). */
  readonly active?: string | undefined
  /** Further facts. */
  readonly [name: string]: ErrorDetail
}

/** Options of a {@link HotspareError} besides its code and message. */
export interface HotspareErrorOptions {
  /** The error that caused this one, if any. */
  readonly cause?: unknown
  /** Facts for programs. */
  readonly details?: ErrorDetails | undefined
  /** Overrides whether the same call may succeed later, which by default the code determines. */
  readonly retryable?: boolean | undefined
  /** Replaces the remedy of the code where that would mislead. */
  readonly whatToDo?: string | undefined
}

/**
 * The remedies of errors that differ from that of their code. Not a property of the error, because
 * logs would print it.
 */
const ownRemedies = new WeakMap<HotspareError, string>()

/**
 * The error that every failing call of the library rejects with. Misuse by the programmer, such as
 * an argument of the wrong type, is a `TypeError` instead.
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
    // On the prototype, so that the stack already shows it and no error has it as its own property.
    HotspareError.prototype.name = 'HotspareError'
  }

  /** What happened, stable within a major version. */
  readonly code: ErrorCode
  /**
   * Whether the same call may succeed later. Use this and not the code: a write that was aborted
   * after it was journaled ends with `ABORTED` too, but here says false, because it has happened.
   */
  readonly retryable: boolean
  /** Facts for programs; an empty object when there are none. */
  readonly details: ErrorDetails

  /**
   * @param code - one of {@link errorCodes}
   * @param what - what happened, with names and numbers, without a full stop at the end; the remedy
   *   of the code is appended. If empty, the summary of the code is used.
   * @param options - cause, details, and overrides of `retryable` and `whatToDo`
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
 * Throws `INTERNAL` when an invariant does not hold. It stays in production, because continuing
 * with a broken invariant could lose data, and stopping cannot.
 *
 * @param condition - what must hold
 * @param what - the violation, as the message states it
 * @throws `INTERNAL` when the condition is false
 */
export function assertInvariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new HotspareError('INTERNAL', what)
}

/** The remedy of an error that replaces that of its code; undefined when it has none. */
export function ownRemedy(error: HotspareError): string | undefined {
  return ownRemedies.get(error)
}

/**
 * The message of an error without the remedy at its end, for use in the message of another error,
 * which gets a remedy of its own.
 */
export function whatHappened(error: unknown): string {
  if (!(error instanceof HotspareError)) return String(error)
  const remedy = ` ${ownRemedy(error) ?? errorCodes[error.code].whatToDo}`
  const { message } = error
  return message.endsWith(remedy) ? message.slice(0, -remedy.length) : message
}
