/** The interfaces between the data side of a node and the rest of it. */

import type { CopyEvent } from '../../copy/contents/types.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { VaultIncident } from '../../copy/vault/incident.js'
import type { Term } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import type { WriterEvent } from '../../replication/in-sync/types.js'
import type { IncomingEvent } from '../../replication/stream/incoming-types.js'
import type { OutgoingEvent } from '../../replication/stream/outgoing-types.js'
import type { TenureCheck } from '../../replication/write/types.js'
import type { NodeEvents } from '../contract/events.js'
import type { AdoptionResult } from './adoption.js'

/** What the data side reports, by the reporting part. */
export interface ReplicaReports {
  copy(event: CopyEvent): void
  writer(event: WriterEvent): void
  incoming(event: IncomingEvent): void
  outgoing(event: OutgoingEvent): void
  vault(incident: VaultIncident): void
  /** `failedAgain`: another attempt failed. */
  storage(event: 'failed' | 'failedAgain' | 'recovered'): void
  /** Why writes that need space are refused; undefined once they are accepted again. */
  room(refusal: string | undefined): void
  /** The result for files that were changed outside the library. */
  outside(found: OutsideReport, outcome: OutsideOutcome): void
  /** The number of files that are about to be adopted. */
  adopting(count: number): void
  /** The result of the adoption before this node became active. */
  adoption(result: AdoptionResult): void
}

export type OutsideOutcome = NodeEvents['outsideChange'][0]['outcome']

/** How a term is opened. */
export interface TermOpening {
  /** Whether no promotable member is in reach, so that writes wait for no standby. */
  readonly degraded: boolean
  readonly tenure: TenureCheck
  /** Reports progress while opening the term takes long. */
  progressed(): void
}

/** What the data side needs from the node. */
export interface ReplicaHooks {
  dial(peer: string, lane: 'stream' | 'bulk', signal: AbortSignal): Promise<Channel>
  promised(): Term | undefined
  /** Why a peer gets no data; undefined when it does. */
  refusal(peer: string): string | undefined
  readonly reports: ReplicaReports
}
