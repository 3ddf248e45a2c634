import {
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import { HotspareError } from '../../errors.js'

/**
 * TLS for both directions: a node uses the same key and certificate when it listens and when it
 * dials. Extends the options of `tls.createSecureContext()`.
 */
export interface TcpTlsOptions extends SecureContextOptions {
  /** The name that the peer's certificate must contain; default: the dialled host. */
  readonly servername?: string
  /**
   * Whether peers that dial must present a certificate too. Default `false`, because they prove the
   * secret.
   */
  readonly requestCert?: boolean
  /** Whether a certificate that no `ca` has signed is refused. Default `true`. */
  readonly rejectUnauthorized?: boolean
  /**
   * Replaces the check of the name in the peer's certificate; an error that it returns refuses the
   * peer.
   */
  readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined
}

const bindingBytes = 32
const bindingLabel = 'EXPORTER-hotspare-channel-binding'

/** Bytes that both ends of this TLS session share and no other session has. */
export function bindingOf(socket: TLSSocket): Uint8Array {
  return socket.exportKeyingMaterial(bindingBytes, bindingLabel, Buffer.alloc(0))
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
