/** The errors of writes that were accepted and not acknowledged. */

import { errorCodes } from '../../error-codes.js'
import { HotspareError, whatHappened } from '../../errors.js'

/**
 * The caller gave up a write that is journaled and waits for its acknowledgement. It is not
 * retryable, because a retry would be a second write.
 */
export function givenUp(seq: number, blocked: boolean, signal: AbortSignal): HotspareError {
  return new HotspareError(
    blocked ? 'WRITES_BLOCKED' : 'ABORTED',
    `the write was given up while it waited for its acknowledgement; it is in the journal at ${seq}`,
    {
      cause: signal.reason,
      retryable: false,
      details: { seq },
      whatToDo: errorCodes[blocked ? 'WRITES_BLOCKED' : 'OUTCOME_UNKNOWN'].whatToDo,
    },
  )
}

/** The role or the storage was lost before the acknowledgement. */
export function outcomeUnknown(seq: number, cause: HotspareError): HotspareError {
  return new HotspareError(
    'OUTCOME_UNKNOWN',
    `the write is in this node's journal at ${seq}, and was not acknowledged before the role ended`,
    { cause, details: { seq } },
  )
}

/** More writes wait than a limit allows. */
export function queueFull(option: string, limit: number): HotspareError {
  return new HotspareError('QUEUE_FULL', `more writes wait than ${option} = ${limit} allows`, {
    details: { option, limit },
  })
}

/** Why a change cannot be journaled: it cannot be encoded, or its encoding cannot be read back. */
export function unwritable(error: unknown): HotspareError {
  if (HotspareError.is(error) && error.code !== 'PROTOCOL_VIOLATION') return error
  const what = `the change cannot be journaled: ${whatHappened(error)}`
  return new HotspareError('VALUE_INVALID', what, { cause: error })
}
