import { HotspareError } from '../../errors.js'

/** Converts a failure of the storage to a HotspareError. */
export function asStorageError(error: unknown): HotspareError {
  if (HotspareError.is(error)) return error
  return new HotspareError('STORAGE_FAILED', String(error), { cause: error })
}

export function trimmed(afterSeq: number, firstSeq: number): HotspareError {
  return new HotspareError(
    'JOURNAL_TRIMMED',
    `the journal begins at ${firstSeq}, and changes after ${afterSeq} were asked for`,
  )
}

export function removed(segment: { readonly name: string }): HotspareError {
  return new HotspareError('JOURNAL_TRIMMED', `${segment.name} was removed from the journal`)
}

export function corrupt(segment: { readonly name: string }, offset: number): HotspareError {
  return new HotspareError(
    'JOURNAL_CORRUPT',
    `the journal is damaged at byte ${offset} of ${segment.name}`,
  )
}

export function closed(): HotspareError {
  return new HotspareError('STOPPED', 'the reader of the journal was closed')
}

/** The error of a damaged journal, which accepts no entries. */
export function damaged(damage: { readonly segment: string; readonly why: string }): HotspareError {
  return new HotspareError('JOURNAL_CORRUPT', `${damage.segment}: ${damage.why}`)
}

/** The error that callers get for a failure of the storage. */
export function asFailure(error: unknown): HotspareError {
  if (HotspareError.is(error)) return error
  return new HotspareError('STORAGE_FAILED', 'the journal took no entry', { cause: error })
}
