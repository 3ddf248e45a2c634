import type { TLSSocket } from 'node:tls'

const BINDING_BYTES = 32
const BINDING_LABEL = 'EXPORTER-hotspare-channel-binding'

/** Bytes that both ends of this TLS session have and no other session has. */
export function bindingOf(socket: TLSSocket): Uint8Array {
  return socket.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0))
}
