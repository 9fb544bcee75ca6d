/** Mean and standard deviation of red, green and blue in [0, 1], which CLIP and BLIP share. */
export const IMAGE_MEAN = [0.48145466, 0.4578275, 0.40821073] as const
export const IMAGE_STD = [0.26862954, 0.26130258, 0.27577711] as const
