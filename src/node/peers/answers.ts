/** What tells a process that answers, and be it with a refusal, from silence. */
import type { HotspareError } from '../../errors.js'

/**
 * Reasons of a failed handshake that say nothing of the member that was meant: somebody else, or
 * nobody, answers there.
 */
const saysNothing: ReadonlySet<unknown> = new Set(['timeout', 'handshakesMax', 'self', 'otherNode'])

/**
 * Whether this failure of a connection shows that a process of the other side lives and refuses, or
 * is refused.
 */
export function isAnswer({ code, details }: HotspareError): boolean {
  if (code === 'HANDSHAKE_VERSION' || code === 'PROTOCOL_VIOLATION') return true
  if (code === 'HANDSHAKE_FAILED') return !saysNothing.has(details.reason)
  return details.answered === true
}

/** An address without its port. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, '')
}
