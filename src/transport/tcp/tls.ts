import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { HotspareError } from '../../errors.js'
import type { TcpTlsOptions } from '../tcp.js'

const BINDING_BYTES = 32
const BINDING_LABEL = 'EXPORTER-hotspare-channel-binding'

/** Bytes that both ends of this TLS session have and no other session has. */
export function bindingOf(socket: TLSSocket): Uint8Array {
  return socket.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0))
}

/** Reads the keys and certificates. @throws `OPTION_INVALID` when they cannot be used */
export function secureContextOf(tls: TcpTlsOptions): SecureContext {
  try {
    return createSecureContext(tls)
  } catch (error) {
    throw new HotspareError('OPTION_INVALID', `TLS cannot use its options: ${String(error)}`, {
      cause: error,
      details: { option: 'tls' },
    })
  }
}
