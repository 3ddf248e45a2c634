/**
 * Connections over TCP, with or without TLS.
 *
 * @example
 * ```ts
 * import { tcp } from 'hotspare/transport/tcp'
 *
 * export const transport = tcp({ listen: '0.0.0.0:7400' })
 * ```
 *
 * @packageDocumentation
 */
import { HotspareError } from '../errors.js'
import type { Transport } from '../interfaces/transport.js'
import { requireKnown } from '../util/option-names.js'
import { parseAddress } from './tcp/address.js'
import { dialTcp } from './tcp/dial.js'
import { listenTcp } from './tcp/listen.js'
import { secureContextOf, type TcpTlsOptions } from './tcp/tls.js'

export type { TcpTlsOptions } from './tcp/tls.js'

/** Options of {@link tcp}. */
export interface TcpOptions {
  /**
   * Where to listen, `host:port` or `[ipv6]:port`; port 0 selects any free port. If omitted, the
   * transport can only dial, and a node that uses it fails to start with `OPTION_INVALID`.
   */
  readonly listen?: string
  /**
   * Encrypts and authenticates all connections. If omitted, frames carry a MAC but are not
   * encrypted.
   */
  readonly tls?: TcpTlsOptions
  /** Milliseconds until an attempt to connect, including TLS, is aborted. Default 3 000. */
  readonly dialTimeoutMs?: number
  /**
   * Idle milliseconds before the operating system probes a connection; 0 switches it off. Default
   * 10 000.
   */
  readonly keepAliveMs?: number
}

/** Default of `dialTimeoutMs`: a dial that is not answered by then is `PEER_UNREACHABLE`. */
const defaultDialTimeoutMs = 3_000
/** Default of `keepAliveMs`. */
const defaultKeepAliveMs = 10_000
/**
 * Longest timeout, the longest that a timer of Node.js supports; a longer one is `OPTION_INVALID`.
 */
const timeoutMsMax = 2 ** 31 - 1

/**
 * Makes a transport over TCP.
 *
 * A dial that the peer's machine refuses rejects with `PEER_REFUSED`, which counts as proof that
 * the process is gone. A firewall that *rejects* packets instead of dropping them looks the same,
 * and then two nodes can be active at once. Between members, configure firewalls to drop.
 *
 * @param options - where to listen, TLS, timeouts
 * @throws `OPTION_INVALID` when an address, a timeout, a key or a certificate cannot work
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { tcp } from 'hotspare/transport/tcp'
 *
 * export const transport = tcp({
 *   listen: '[::]:7400',
 *   tls: {
 *     key: readFileSync('node.key'),
 *     cert: readFileSync('node.crt'),
 *     ca: readFileSync('cluster-ca.crt'),
 *   },
 * })
 * ```
 */
export function tcp(options: TcpOptions = {}): Transport {
  requireKnown('tcp()', options, ['listen', 'tls', 'dialTimeoutMs', 'keepAliveMs'])
  const { listen, tls } = options
  const dialTimeoutMs = milliseconds(
    'dialTimeoutMs',
    options.dialTimeoutMs,
    defaultDialTimeoutMs,
    1,
  )
  const keepAliveMs = milliseconds('keepAliveMs', options.keepAliveMs, defaultKeepAliveMs, 0)
  if (listen !== undefined) parseAddress(listen, 'listen')
  const secureContext = tls === undefined ? undefined : secureContextOf(tls)
  return {
    name: 'tcp',
    async listen(accept, limits) {
      if (listen === undefined) {
        throw new HotspareError('OPTION_INVALID', 'tcp() was given no address to listen on', {
          details: { option: 'listen' },
        })
      }
      return listenTcp(accept, {
        address: listen,
        tls,
        keepAliveMs,
        handshakeMs: dialTimeoutMs,
        limits,
      })
    },
    checkAddress: (address) => void parseAddress(address, 'dial'),
    dial: (address, limits, signal) =>
      dialTcp(address, { tls, secureContext, keepAliveMs, dialTimeoutMs, limits, signal }),
  }
}

function milliseconds(option: string, value: number | undefined, byDefault: number, min: number) {
  if (value === undefined) return byDefault
  if (Number.isSafeInteger(value) && value >= min && value <= timeoutMsMax) return value
  throw new HotspareError(
    'OPTION_INVALID',
    `tcp(): ${option} is ${value}; it must be a whole number from ${min} to ${timeoutMsMax}`,
    { details: { option } },
  )
}
