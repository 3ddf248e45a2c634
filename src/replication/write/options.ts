/** Checks what a write asks for, before anything of it happens. */

import { requireKnownLevels } from '../../policy/class-options.js'
import { requireKnown } from '../../util/option-names.js'
import type { WriteOptions } from './types.js'

const names: readonly string[] = ['ack', 'durability', 'signal']

/**
 * Checks what an application gave, once, where it comes in.
 *
 * @param more - names besides those of every write
 * @throws `OPTION_INVALID` for a name or a level that there is not
 * @throws TypeError when the options are no object, or the signal is none
 */
export function checkWriteOptions(
  options: WriteOptions | undefined,
  more: readonly string[] = [],
): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`the options of a write are an object, not ${String(options)}`)
  }
  requireKnown('a write', options, more.length === 0 ? names : [...names, ...more])
  requireKnownLevels(options)
  const { signal } = options
  if (signal === undefined || isSignal(signal)) return
  throw new TypeError(`signal is an AbortSignal, not ${String(signal)}`)
}

/** By what is used of it: not every realm has the same class. */
function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function'
  )
}
