import { connect } from 'node:http2'
import { closedLoop, type Load, type LoadResult } from './load.js'

/** A field of a protocol buffer message that holds bytes shorter than 128. */
function field(tag: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag, bytes.byteLength]), bytes])
}

/** A gRPC frame with a `PutRequest` (key = 1, value = 2). */
function putRequest(key: string, value: Uint8Array): Buffer {
  const message = Buffer.concat([field(0x0a, Buffer.from(key)), field(0x12, value)])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.byteLength, 1)
  return Buffer.concat([head, message])
}

/**
 * Puts by many callers over one HTTP/2 connection in etcd's own gRPC, encoded here, because etcd's
 * JSON gateway uses so much processor time that etcd would look slower than it is.
 */
export async function etcdLoad(port: number, load: Load): Promise<LoadResult> {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  const value = Buffer.alloc(load.bytes, 0x61)
  let next = 0
  const put = (): Promise<void> =>
    new Promise((resolve, reject) => {
      next = (next + 1) % 10_000
      const stream = session.request({
        ':method': 'POST',
        ':path': '/etcdserverpb.KV/Put',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      let status: unknown = 'missing'
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status']
      })
      stream.on('data', () => undefined)
      stream.on('end', () => {
        if (status === '0') resolve()
        else reject(new Error(`etcd answered with the status ${String(status)}`))
      })
      stream.on('error', reject)
      stream.end(putRequest(`key${String(next)}`, value))
    })
  try {
    return await closedLoop(load, put)
  } finally {
    session.close()
  }
}
