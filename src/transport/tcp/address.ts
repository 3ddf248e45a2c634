import { HotspareError } from '../../errors.js'

/** A host and a port. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Highest port; an address with a higher one is `OPTION_INVALID`. */
const portMax = 65_535

/**
 * Reads `host:port` or `[ipv6]:port`.
 *
 * @param address - what the application gave
 * @param use - `listen` allows port 0 (any free port), `dial` does not
 * @throws `OPTION_INVALID` when it is neither
 */
export function parseAddress(address: string, use: 'listen' | 'dial'): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > portMax || (use === 'dial' && port === 0)) {
    throw new HotspareError(
      'OPTION_INVALID',
      `the address is ${JSON.stringify(address)}, wanted host:port or [ipv6]:port ` +
        `with a port of ${use === 'dial' ? 1 : 0} to ${portMax}`,
      { details: { option: 'address', address } },
    )
  }
  return { host, port }
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
