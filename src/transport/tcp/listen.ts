import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import debug from 'debug'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { Connection, Listener, TransportLimits } from '../../interfaces/transport.js'
import { formatAddress, parseAddress } from './address.js'
import { TcpConnection } from './connection.js'
import { FrameReader } from './frame-reader.js'
import type { TcpTlsOptions } from './tls.js'
import { bindingOf } from './tls.js'

const log = debug('hotspare:tcp')

/** Connections in TLS negotiation at the same time; beyond it the oldest is ended. */
const negotiationsMax = 256

/** Parameters of {@link listenTcp} besides the receiver of connections. */
export interface ListenParts {
  readonly address: string
  readonly tls: TcpTlsOptions | undefined
  readonly keepAliveMs: number
  readonly handshakeMs: number
  readonly limits: TransportLimits
}

/**
 * Listens on an address.
 *
 * @throws `ADDRESS_IN_USE`, `OPTION_INVALID`, `RESOURCES_EXHAUSTED`
 */
export async function listenTcp(
  accept: (connection: Connection) => void,
  parts: ListenParts,
): Promise<Listener> {
  const { host, port } = parseAddress(parts.address, 'listen')
  const server = makeServer(accept, parts)
  server.maxConnections = parts.limits.connectionsMax
  // Registered first and permanently, because an accept that fails for lack of descriptors is an
  // error of the server, which continues.
  server.on('error', (error) => log('listener %s: %s', parts.address, error.message))
  server.on('drop', () => log('connectionsMax (%d) reached', parts.limits.connectionsMax))
  await opened(server, host, port, parts.address)
  const bound = server.address()
  const realPort = typeof bound === 'object' && bound !== null ? bound.port : port
  return {
    address: formatAddress(host, realPort),
    // Not awaited: the listening socket is closed at once, and the callback would wait for all
    // connections.
    close: async () => {
      server.close()
    },
  }
}

function makeServer(accept: (connection: Connection) => void, parts: ListenParts): Server {
  const take = (socket: Socket, binding: Uint8Array | undefined): void => {
    accept(
      new TcpConnection({
        socket,
        reader: new FrameReader(parts.limits.frameBytesMax),
        readsIntoReader: false,
        limits: parts.limits,
        remote: formatAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0),
        binding,
      }),
    )
  }
  const common = {
    noDelay: true,
    keepAlive: parts.keepAliveMs > 0,
    keepAliveInitialDelay: parts.keepAliveMs,
  }
  if (parts.tls === undefined) return createServer(common, (socket) => take(socket, undefined))
  const options = { ...common, ...parts.tls, handshakeTimeout: parts.handshakeMs }
  const server = createTlsServer(options, (socket: TLSSocket) => take(socket, bindingOf(socket)))
  limitNegotiations(server)
  server.on('tlsClientError', (error, socket) => {
    log('TLS handshake with %s failed: %s', socket.remoteAddress, error.message)
    socket.destroy()
  })
  return server
}

/**
 * Ends the oldest connection in TLS negotiation when there are too many. The handshake guard cannot
 * limit these, because they have not reached the handshake.
 */
function limitNegotiations(server: TlsServer): void {
  const negotiating = new Map<string, Socket>()
  const nameOf = (socket: Socket): string =>
    formatAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0)
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket)
    for (const [old, oldest] of negotiating) {
      if (negotiating.size < negotiationsMax) break
      negotiating.delete(old)
      oldest.destroy()
    }
    negotiating.set(name, socket)
    socket.once('close', () => negotiating.delete(name))
  })
  server.on('secureConnection', (socket: TLSSocket) => negotiating.delete(nameOf(socket)))
}

function opened(server: Server, host: string, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(listenError(address, error))
    server.once('error', failed)
    server.listen(port, host, () => {
      server.removeListener('error', failed)
      resolve()
    })
  })
}

const codes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'ADDRESS_IN_USE',
  EMFILE: 'RESOURCES_EXHAUSTED',
  ENFILE: 'RESOURCES_EXHAUSTED',
  ENOMEM: 'RESOURCES_EXHAUSTED',
  ENOBUFS: 'RESOURCES_EXHAUSTED',
}

function listenError(address: string, error: NodeJS.ErrnoException): HotspareError {
  const code = codes[error.code ?? ''] ?? 'OPTION_INVALID'
  return new HotspareError(code, `cannot listen on ${address}: ${error.message}`, {
    cause: error,
    details: { option: 'listen', address },
    ...(error.code === 'EACCES'
      ? { whatToDo: 'Choose a port from 1024 on, or give the process the right to use it.' }
      : {}),
  })
}
