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
 * Calls back when the signal aborts, at most once; what is returned takes that back. Of a signal
 * that has aborted already nothing is heard.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => void,
): () => void {
  if (signal === undefined) return () => undefined
  const listener = (): void => call(signal)
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
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
  let unlisten = (): void => undefined
  const stop = new Promise<never>((_resolve, reject) => {
    unlisten = onAbort(signal, () => reject(error()))
  })
  try {
    return await Promise.race([working, stop])
  } finally {
    unlisten()
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
  const unlisten = signals.map((signal) => {
    if (signal?.aborted === true) any.abort(signal.reason)
    return onAbort(signal, ({ reason }) => any.abort(reason))
  })
  try {
    return await work(any.signal)
  } finally {
    for (const forget of unlisten) forget()
  }
}

/** The caller gave up before anything happened. */
export function aborted(signal: AbortSignal): HotspareError {
  return new HotspareError('ABORTED', '', { cause: signal.reason })
}
