// The network of a container that has none but itself: a namespace of its own, in which only loopback is up.
//
// 2013: lxc_template.go of January, where all lxc.network lines were commented out

/** The value of LXC's network type key for a namespace with nothing but loopback. */
export const LOOPBACK_ONLY = 'empty';
