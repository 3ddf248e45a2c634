/** What the data side of a node tells it, and needs from it. */

import type { CopyEvent } from '../../copy/contents/types.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { VaultIncident } from '../../copy/vault/incident.js'
import type { Term } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import type { WriterEvent } from '../../replication/in-sync/types.js'
import type { IncomingEvent } from '../../replication/stream/incoming-types.js'
import type { OutgoingEvent } from '../../replication/stream/outgoing-types.js'
import type { TenureCheck } from '../../replication/write/types.js'
import type { AdoptionResult } from './adoption.js'

/** What the data side tells the node. */
export type ReplicaEvent =
  | { readonly from: 'copy'; readonly event: CopyEvent }
  | { readonly from: 'incoming'; readonly event: IncomingEvent }
  | { readonly from: 'outgoing'; readonly event: OutgoingEvent }
  | { readonly from: 'writer'; readonly event: WriterEvent }
  | { readonly from: 'vault'; readonly event: VaultIncident }
  | { readonly from: 'storage'; readonly event: 'failed' | 'failedAgain' | 'recovered' }
  /** Why what takes room is refused; undefined when it is not any more. */
  | { readonly from: 'room'; readonly event: string | undefined }
  /** Files that had changed on this disk were put right. */
  | { readonly from: 'outside' | 'outsideOfActive' | 'adoptedLater'; readonly event: OutsideReport }
  /** So many are about to be taken into the history. */
  | { readonly from: 'adopting'; readonly event: number }
  /** They were taken into the history, or left, before this node became active. */
  | { readonly from: 'adoption'; readonly event: AdoptionResult }

/** How a term is opened. */
export interface TermOpening {
  /** Whether no promotable member is in reach, so that writes wait for nobody. */
  readonly degraded: boolean
  readonly tenure: TenureCheck
  /** What goes with the opening takes long, and goes on. */
  progressed(): void
}

/** What the data side needs from the node. */
export interface ReplicaHooks {
  dial(peer: string, lane: 'stream' | 'bulk', signal: AbortSignal): Promise<Channel>
  promised(): Term | undefined
  /** Why a peer gets no data, or undefined. */
  refusal(peer: string): string | undefined
  report(event: ReplicaEvent): void
}
