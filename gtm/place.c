/* SPDX-License-Identifier: MPL-2.0 */
/* Where countries and points are. */
#include "gtm/clients.h"

#include <math.h>

#define PI 3.14159265358979323846
/* The mean radius of the earth, twice, over 4/9 of the speed of light. */
#define MS_A_RADIAN 95.6313f

/* By continent, as ISO 3166 and MaxMind have them. */
static const char *const countries[CONFIG_CONTINENTS] = {
	[CONFIG_AF] = "AOBFBIBJBWCDCFCGCICMCVDJDZEGEHERETGAGHGMGNGQGWKEKMLRLSLY"
		      "MAMGMLMRMUMWMZNANENGRERWSCSDSHSLSNSOSSSTSZTDTGTNTZUGYTZA"
		      "ZMZW",
	[CONFIG_AN] = "AQBVGSHMTF",
	[CONFIG_AS] = "AEAFAMAZBDBHBNBTCCCNCXCYGEHKIDILINIOIQIRJOJPKGKHKPKRKWKZ"
		      "LALBLKMMMNMOMVMYNPOMPHPKPSQASASGSYTHTJTMTRTWUZVNYE",
	[CONFIG_EU] = "ADALATAXBABEBGBYCHCZDEDKEEESFIFOFRGBGGGIGRHRHUIEIMISITJE"
		      "LILTLULVMCMDMEMKMTNLNOPLPTRORSRUSESISJSKSMUAVAXK",
	[CONFIG_NA] = "AGAIAWBBBLBMBQBSBZCACRCUCWDMDOGDGLGPGTHNHTJMKNKYLCMFMQMS"
		      "MXNIPAPMPRSVSXTCTTUSVCVGVI",
	[CONFIG_OC] = "ASAUCKFJFMGUKIMHMPNCNFNRNUNZPFPGPNPWSBTKTLTOTVUMVUWFWS",
	[CONFIG_SA] = "ARBOBRCLCOECFKGFGYPEPYSRUYVE",
};

uint8_t gtm_continent_of(uint16_t country)
{
	for (unsigned int i = CONFIG_AF; i < CONFIG_CONTINENTS; i++)
		for (const char *p = countries[i]; *p != '\0'; p += 2)
			if ((uint16_t)((uint16_t)p[0] << 8 | p[1]) == country)
				return (uint8_t)i;
	return CONFIG_NO_CONTINENT;
}

struct gtm_vector gtm_vector_of(double latitude, double longitude)
{
	double north = latitude * PI / 180, east = longitude * PI / 180;

	return (struct gtm_vector){
		.x = (float)(cos(north) * cos(east)),
		.y = (float)(cos(north) * sin(east)),
		.z = (float)sin(north),
	};
}

float gtm_vector_ms(const struct gtm_vector *a, const struct gtm_vector *b)
{
	float dot = a->x * b->x + a->y * b->y + a->z * b->z;
	float size = dot < 0 ? -dot : dot;

	if (size > 1)
		size = 1; /* of the same point, or the opposite one */
	float angle =
		((-0.0187293f * size + 0.0742610f) * size - 0.2121144f) * size +
		1.5707288f;
	angle *= sqrtf(1 - size);
	if (dot < 0)
		angle = (float)PI - angle;
	return angle * MS_A_RADIAN;
}
