/** Checks the options of a write before anything else happens. */

import { requireKnownLevels } from '../../policy/class-options.js'
import { requireKnown } from '../../util/option-names.js'
import type { WriteOptions } from './types.js'

const names: readonly string[] = ['ack', 'durability', 'signal']

/**
 * Checks the options that an application passed.
 *
 * @param more - names of options besides those that every write has
 * @throws `OPTION_INVALID` for an unknown name or level
 * @throws TypeError when the options are no object, or the signal is no AbortSignal
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

/** Checks the members that are used, because another realm has another AbortSignal class. */
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
