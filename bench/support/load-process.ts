/** A process of its own that drives a peer's server, as a client of that server would. */
import { etcdLoad } from './etcd-client.js'
import type { Load, LoadResult } from './load.js'
import { redisLoad, redisStream } from './redis-client.js'
import { serve } from './remote.js'

/** The jobs of a load process. */
export type LoadJob =
  | { readonly kind: 'redis'; readonly port: number; readonly load: Load }
  | {
      readonly kind: 'redisStream'
      readonly port: number
      readonly count: number
      readonly bytes: number
    }
  | { readonly kind: 'etcd'; readonly port: number; readonly load: Load }

function carryOut(job: LoadJob): Promise<LoadResult | number> {
  switch (job.kind) {
    case 'redis':
      return redisLoad(job.port, job.load)
    case 'redisStream':
      return redisStream(job.port, job.count, job.bytes)
    case 'etcd':
      return etcdLoad(job.port, job.load)
  }
}

serve<LoadJob>(carryOut)
