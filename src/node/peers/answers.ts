/** Distinguishes a process that answers, even with a refusal, from silence. */
import type { HotspareError } from '../../errors.js'

/**
 * Reasons of a failed handshake that prove nothing about the intended member, because another
 * process answered, or none.
 */
const saysNothing: ReadonlySet<unknown> = new Set(['timeout', 'handshakesMax', 'self', 'otherNode'])

/**
 * Whether a failed connection proves that a process of the other side is alive and refuses, or is
 * refused.
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
