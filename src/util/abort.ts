/**
 * Helpers for abort signals. Each removes its listener when the work ends, because a signal may
 * live as long as the process.
 */
import { setMaxListeners } from 'node:events'
import { HotspareError } from '../errors.js'

/**
 * An AbortController whose signal accepts any number of listeners. Node warns of a leak from the
 * eleventh listener on; each write of a tenure and each dial adds one and removes it when it ends,
 * so the warning would be wrong.
 */
export function sharedController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

/**
 * Calls back when the signal aborts, at most once. The returned function removes the listener. A
 * signal that has already aborted never calls back: check `signal.aborted` first.
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
 * Runs `work` unless the signal has aborted already. Rejects with `ABORTED` in that case, and when
 * the signal aborts before the work is done; the work then goes on, and its result is ignored.
 */
export async function abortable<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return await work()
  const error = (): HotspareError =>
    new HotspareError('ABORTED', 'the call was aborted', { cause: signal.reason })
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
 * Runs `work` with a signal that aborts as soon as one of `signals` does. Used instead of
 * `AbortSignal.any`, because on Node 20 each use of that leaks memory into a long-lived signal.
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

/** The error for a call whose signal aborted before the call had any effect. */
export function aborted(signal: AbortSignal): HotspareError {
  return new HotspareError('ABORTED', '', { cause: signal.reason })
}
