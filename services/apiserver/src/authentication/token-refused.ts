// Why a token that looks like ours is none.
import { PodwireError } from "@podwire/base";

/** A token that looks like ours and does not hold; the message is what TokenReview answers. */
export class TokenRefusedError extends PodwireError {}
