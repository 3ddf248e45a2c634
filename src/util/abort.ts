/**
 * Work that can be given up. Nothing of it stays behind at a signal, which may live as long as the
 * process.
 */
import { setMaxListeners } from 'node:events'
import { HotspareError } from '../errors.js'

/**
 * A controller whose signal as many may listen to as there is work under way: each write of a
 * tenure, each dial. Node warns of a leak from the eleventh listener on, and here it is none: each
 * goes with its work.
 */
export function sharedController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

/**
 * Begins `work` unless the signal has aborted already, and rejects with `ABORTED` when it aborts
 * before that is done.
 */
export async function abortable<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return await work()
  const error = (): HotspareError =>
    new HotspareError('ABORTED', 'the call was given up', { cause: signal.reason })
  if (signal.aborted) throw error()
  const working = work()
  let onAbort = (): void => undefined
  const stop = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(error())
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([working, stop])
  } finally {
    signal.removeEventListener('abort', onAbort)
    working.catch(() => undefined)
  }
}

/**
 * Runs `work` with a signal that aborts as soon as one of these does, until the work is done.
 * `AbortSignal.any` leaves something behind at a long-lived signal with each use, on Node 20.
 */
export async function withAny<T>(
  signals: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const any = new AbortController()
  const listeners = signals.flatMap((signal) => {
    if (signal === undefined) return []
    const listener = (): void => any.abort(signal.reason)
    if (signal.aborted) listener()
    signal.addEventListener('abort', listener)
    return [() => signal.removeEventListener('abort', listener)]
  })
  try {
    return await work(any.signal)
  } finally {
    for (const unlisten of listeners) unlisten()
  }
}

/** The caller gave up before anything happened. */
export function aborted(signal: AbortSignal): HotspareError {
  return new HotspareError('ABORTED', '', { cause: signal.reason })
}

/** Calls back when the signal aborts; what is returned takes that back. */
export function onAbort(
  signal: AbortSignal | undefined,
  call: (error: HotspareError) => void,
): () => void {
  if (signal === undefined) return () => undefined
  const listener = (): void => call(aborted(signal))
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}
