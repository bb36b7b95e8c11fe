package password

import "crypto/rand"

// alphabet leaves out what is easily misread (0 O 1 l I). Its length divides
// no power of two, hence the rejection in Random.
const alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// Random returns a password of n letters and digits, at least 12; each is
// worth 5.8 bits.
func Random(n int) string {
	n = max(n, 12)
	out := make([]byte, 0, n)
	var b [64]byte
	for len(out) < n {
		rand.Read(b[:]) // never fails
		for _, x := range b {
			x &= 63
			if int(x) < len(alphabet) && len(out) < n {
				out = append(out, alphabet[x])
			}
		}
	}
	return string(out)
}
