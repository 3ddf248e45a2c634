import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net'
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { HotspareError } from '../../errors.js'
import type { Connection, TransportLimits } from '../../interfaces/transport.js'
import { onAbort } from '../../util/abort.js'
import { type HostPort, parseAddress } from './address.js'
import { TcpConnection } from './connection.js'
import { FrameReader } from './frame-reader.js'
import type { TcpTlsOptions } from './tls.js'
import { bindingOf } from './tls.js'

/** Parameters of {@link dialTcp} besides the address. */
export interface DialParts {
  readonly tls: TcpTlsOptions | undefined
  /** The keys of `tls`, read once for all dials. */
  readonly secureContext: SecureContext | undefined
  readonly keepAliveMs: number
  readonly dialTimeoutMs: number
  readonly limits: TransportLimits
  readonly signal: AbortSignal | undefined
}

/**
 * Opens a connection.
 *
 * @throws `PEER_REFUSED`, `PEER_UNREACHABLE`, `RESOURCES_EXHAUSTED`, `ABORTED`, `OPTION_INVALID`
 */
export async function dialTcp(address: string, parts: DialParts): Promise<Connection> {
  const target = parseAddress(address, 'dial')
  if (parts.signal?.aborted) throw aborted(address, parts.signal)
  const reader = new FrameReader(parts.limits.frameBytesMax)
  const untilMs = performance.now() + parts.dialTimeoutMs
  let connection: TcpConnection | undefined
  const options =
    parts.tls === undefined
      ? plainOptions(target, parts, reader, () => connection?.received())
      : common(target, parts)
  const raw = connect(options)
  await ready(raw, 'connect', address, { ...parts, untilMs })
  if (isSelfConnection(raw)) {
    // Reset, because an orderly close would occupy the port for a minute, and block a process that
    // wants to listen there.
    raw.resetAndDestroy()
    throw notListening(address)
  }
  const socket = parts.tls === undefined ? raw : tlsConnect(tlsOptions(target, raw, parts))
  if (socket !== raw) await ready(socket, 'secureConnect', address, { ...parts, untilMs })
  connection = new TcpConnection({
    socket,
    reader,
    readsIntoReader: parts.tls === undefined,
    limits: parts.limits,
    remote: address,
    binding: parts.tls === undefined ? undefined : bindingOf(socket as TLSSocket),
  })
  // Bytes may have arrived before the connection object existed.
  connection.received()
  return connection
}

/** Reading straight into the reader's buffer saves a third of the receiver's CPU. */
function plainOptions(
  target: HostPort,
  parts: DialParts,
  reader: FrameReader,
  received: () => void,
): NetConnectOpts {
  return {
    ...common(target, parts),
    onread: {
      buffer: () => reader.reserve(),
      callback: (count) => {
        reader.commit(count)
        received()
        return true
      },
    },
  }
}

function tlsOptions(target: HostPort, socket: Socket, parts: DialParts): object {
  const { tls = {}, secureContext } = parts
  // A host name is checked against the certificate; an IP address must be listed in the
  // certificate.
  const servername = tls.servername ?? (isIP(target.host) === 0 ? target.host : undefined)
  const options = { ...tls, host: target.host, port: target.port, socket, secureContext }
  return servername === undefined ? options : { ...options, servername }
}

function common(target: HostPort, parts: DialParts) {
  return {
    host: target.host,
    port: target.port,
    noDelay: true,
    keepAlive: parts.keepAliveMs > 0,
    keepAliveInitialDelay: parts.keepAliveMs,
  }
}

/**
 * Whether a dial connected to itself. That can happen on one machine when nothing listens on the
 * dialled port and the system chose the same port as the source, because TCP allows both ends to
 * open at once.
 */
function isSelfConnection({ localPort, localAddress, remotePort, remoteAddress }: Socket): boolean {
  return localPort === remotePort && localAddress === remoteAddress
}

function ready(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  address: string,
  parts: DialParts & { readonly untilMs: number },
): Promise<void> {
  const { signal, dialTimeoutMs, untilMs } = parts
  // Without a listener, an error before or after this promise would crash the process.
  socket.on('error', () => {})
  return new Promise((resolve, reject) => {
    const settle = (error?: HotspareError): void => {
      clearTimeout(timer)
      unlisten()
      socket.removeListener('error', onError)
      socket.removeListener('close', onClose)
      socket.removeListener(event, onReady)
      if (error === undefined) {
        resolve()
      } else {
        socket.destroy()
        reject(error)
      }
    }
    const onReady = (): void => settle()
    const onError = (error: Error): void => settle(dialError(address, error, event))
    const onClose = (): void => settle(unreachable(address, 'the connection ended at once'))
    const timer = setTimeout(
      () => settle(unreachable(address, `no answer within ${dialTimeoutMs} ms`)),
      Math.max(0, untilMs - performance.now()),
    )
    const unlisten = onAbort(signal, () => settle(aborted(address, signal)))
    socket.once('error', onError)
    socket.once('close', onClose)
    socket.once(event, onReady)
    if (signal?.aborted) settle(aborted(address, signal))
  })
}

/**
 * Errors of the network, which may pass. All others (an unknown host name, a bad certificate, no
 * TLS at the peer) need a person.
 */
const transient: ReadonlySet<string | undefined> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
])

/**
 * Errors that mean that this process or its machine has exhausted a resource. They say nothing
 * about the peer.
 */
const exhausted: ReadonlySet<string | undefined> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOBUFS',
  'EAGAIN',
  'EADDRNOTAVAIL',
])

/**
 * Maps the error of a dial. A host name may have several addresses: the process is gone only when
 * all of them refused.
 */
function dialError(
  address: string,
  error: Error,
  event: 'connect' | 'secureConnect',
): HotspareError {
  const errors = error instanceof AggregateError ? error.errors : [error]
  const refused = errors.every((each: NodeJS.ErrnoException) => each.code === 'ECONNREFUSED')
  if (!refused) {
    const codes = errors.map((each: NodeJS.ErrnoException) => each.code)
    const why = error.message || String(errors[0])
    if (codes.some((code) => exhausted.has(code))) {
      return new HotspareError('RESOURCES_EXHAUSTED', `${address} cannot be dialled: ${why}`, {
        cause: error,
        details: { address },
      })
    }
    if (codes.every((code) => transient.has(code))) return unreachable(address, why, error)
    // An error of the TLS handshake means that a process answered.
    const answered = event === 'secureConnect' ? { answered: true } : {}
    return unreachable(address, why, error, { reason: 'setUp', ...answered })
  }
  return notListening(address, error)
}

function notListening(address: string, cause?: Error): HotspareError {
  return new HotspareError('PEER_REFUSED', `nothing listens on ${address}`, {
    cause,
    retryable: true,
    details: { address, reason: 'noListener' },
  })
}

function unreachable(
  address: string,
  why: string,
  cause?: Error,
  details: { readonly reason?: string; readonly answered?: boolean } = {},
): HotspareError {
  return new HotspareError('PEER_UNREACHABLE', `${address} cannot be reached: ${why}`, {
    cause,
    details: { address, ...details },
  })
}

function aborted(address: string, signal: AbortSignal | undefined): HotspareError {
  return new HotspareError('ABORTED', `dialling ${address} was aborted`, { cause: signal?.reason })
}
